"""What one address has taken of the time of this replica, and when it may take more."""

import asyncio
from collections import OrderedDict
from time import monotonic

SAVED_SECONDS = 0.03  # of processor time, which an address that was quiet may take at once
_BREATH_SECONDS = 0.005  # of processor time, for which one that waits saves before it goes on: to wake up costs as well
BYTE_SECONDS = 5e-9  # of all processors for a byte on its way through kernel and NGINX, measured with 60 KB
LARGE_BYTES = 4096  # at once to one stream: what is smaller costs its system call, and its bytes next to nothing
SCOPE = "sse_app.account"  # where a request has its account
_ADDRESSES = 10_000  # in the memory of a replica, about 2 MB; a forgotten one has its whole share again


class Account:
    """An account is the one time at which everything that was taken is paid for; `part` of each second pays."""

    __slots__ = ("_part", "paid", "turn", "waiting")

    def __init__(self, part: float) -> None:
        self._part = part
        self.paid = 0.0
        self.waiting = 0  # requests
        self.turn = asyncio.Lock()  # who waits longest has it

    def charge(self, seconds: float) -> None:
        """Count processor time."""
        self.paid = max(self.paid, monotonic()) + seconds / self._part

    def affords(self, size: int) -> bool:
        """Charge so many bytes to send, unless everything that was saved is taken already."""
        if self.wait > 0:
            return False
        self.charge(size * BYTE_SECONDS)
        return True

    @property
    def wait(self) -> float:
        """The seconds until this address may take more; 0 or less where it may now."""
        return self.paid - monotonic() - SAVED_SECONDS / self._part

    async def pace(self) -> None:
        """Wait until this address may take more, after those who wait already."""
        async with self.turn:
            while (wait := self.wait) > 0:  # noqa: ASYNC110 - only time pays
                await asyncio.sleep(wait + _BREATH_SECONDS / self._part)


class Accounts(OrderedDict[str, Account]):
    """The accounts of the addresses that were heard of last, by address."""

    def __init__(self, part: float) -> None:
        """`part` of each second pays for what an address takes."""
        super().__init__()
        self._part = part

    def of(self, address: str) -> Account:
        """The account of an address."""
        account = self.get(address)
        if account is None:
            account = self[address] = Account(self._part)
            if len(self) > _ADDRESSES:
                self.popitem(last=False)
        self.move_to_end(address)
        return account
