from procpool import Pool
def func(i):
    i+=1
    return i#普通进程处理过的数据返回给主进程p1

def call_back(p1):
    p1+=1
    print(p1)

if __name__ == '__main__':
    p = Pool()
    for i in range(10):
        p1 = p.apply_async(func,args=(i,),callback = call_back)#p调用普通进程并且接受其返回值,将返回值给要执行的回调函数处理
    p.close()
    p.join()
