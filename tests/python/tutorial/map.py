from procpool import Pool

def func(num):
    num += 1
    print(num)
    return num

if __name__ == '__main__':
    p = Pool(5)
    res = p.map(func,[i for i in range(100)])
    # p.close()#map方法自带这两种功能
    # p.join()
    print('主进程中map的返回值',res)
