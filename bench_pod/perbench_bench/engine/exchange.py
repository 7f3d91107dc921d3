"""One request and what came back, as raw as it came: filled by a connection, read when it is over. Pure."""

from collections.abc import Callable

from perbench_bench.engine.feed import Ticket
from perbench_bench.engine.http1 import HttpResponse, ResponseReader
from perbench_bench.engine.reply import Ending
from perbench_bench.engine.sse import Pieces, only_comments


class Exchange:
    """One request and what came back, as raw as it came. Stamps are in ns of the engine's clock."""

    __slots__ = (
        "_looked_at",
        "_sign",
        "address",
        "connect_ns",
        "delays",
        "due",
        "end",
        "ending",
        "error",
        "on_ended",
        "on_read",
        "paused",
        "reader",
        "reads",
        "rested_ns",
        "retried",
        "sent",
        "ticket",
    )  # fmt: skip

    def __init__(
        self,
        ticket: Ticket,
        due: int,
        on_ended: "Callable[[Exchange], None]",
        on_read: "Callable[[Exchange, bool], None]",
    ) -> None:
        self.ticket = ticket
        self.address = ""
        """Where it is sent, of the server's addresses."""
        self.due = due
        """When it was to be sent: as scheduled in an open loop, when its slot came free in a closed one."""
        self.paused = False
        """The slot waited on purpose (after a failure) or has just begun: no turnaround is measured."""
        self.rested_ns = 0
        """How long the slot had waited on purpose before `due`."""
        self.sent = 0
        self.end = 0
        self.connect_ns = 0
        self.retried = False
        self.reader = ResponseReader()
        self.reads: list[int] = []
        self.delays: list[int] = []
        """Delay of each read in the loop, beside `reads`."""
        self.ending = Ending.COMPLETE
        self.error = ""
        self._looked_at = 0
        self._sign: int | None = None
        self.on_ended = on_ended
        self.on_read = on_read
        """Called when the answer was read, with whether it was a success."""

    @property
    def response(self) -> HttpResponse:
        """The response as far as it came."""
        return self.reader.response

    def read_delayed(self, delay_ns: int) -> None:
        """Called by the monitor at the end of the iteration that read a chunk of this."""
        self.delays.append(delay_ns)

    def sign_of_life(self) -> int | None:
        """When the answer last brought something but comments, as far as it came. What was looked at is not again."""
        pieces = self.response.pieces
        sign = last_sign(pieces, self._looked_at)
        self._looked_at = len(pieces)
        if sign is not None:
            self._sign = sign
        return self._sign

    def finish(self, ending: Ending, now: int, error: str = "") -> None:
        """The exchange is over."""
        self.ending = ending
        self.error = error
        self.end = now
        self.reader.release()
        self.on_ended(self)


def last_sign(pieces: Pieces, after: int = 0) -> int | None:
    """Stamp of the last piece of a body, of those from number `after` on, that is more than comments."""
    for number in range(len(pieces) - 1, after - 1, -1):
        stamp, data = pieces[number]
        if not only_comments(data):
            return stamp
    return None
