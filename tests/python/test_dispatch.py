# SPDX-License-Identifier: MIT
"""What has come, and is met again because an interruption came before it was taken out of the inbox."""

from collections import deque

import pytest

from procpool.dispatch import Dispatcher
from procpool.receiver import Violation


class Interrupted(Exception):
    pass


class Inbox(deque):
    """Lets itself be emptied only the second time."""

    refused = False

    def __delitem__(self, index):
        if not self.refused:
            self.refused = True
            raise Interrupted
        super().__delitem__(index)


def test_an_output_that_is_met_again_is_shown_once():
    dispatcher, shown = Dispatcher(), []
    dispatcher.on_output = lambda *output: shown.append(output)
    inbox = Inbox([([2, "output", ["p", 1, "stdout", b"x"]], 0)])
    with pytest.raises(Interrupted):
        dispatcher.dispatch(inbox)
    dispatcher.dispatch(inbox)
    dispatcher.print_outputs()
    assert shown == [("p", 1, "stdout", b"x")] and not inbox


def test_what_no_daemon_sends_is_still_no_message():
    with pytest.raises(Violation):
        Dispatcher().dispatch(deque([([None, "output", ["p", 1, "stdout", b"x"]], 0)]))
