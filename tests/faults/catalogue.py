"""What breaks, and what is promised then: one row for each fault that users of such proxies have met."""

from typing import Final

ROWS: Final = {
    # radio, adapter, BlueZ; "data" is the first fresh reading at the API client
    "R1": ("connecting is refused three times", "data in 10 s, one warning"),
    "R2": ("connecting is aborted, 5 of 6 times", "data in 60 s, attempts 0.25 s apart or more, ping in 100 ms"),
    "R3": ("the adapter has no slot left", "said within 30 s, the other unit unaffected"),
    "R4": ("discovery can't start", "scanning again in 60 s"),
    "R5": ("the scanner hears nothing more, without an error", "restarted in 120 s, at most once in 90 s"),
    "R6": ("bluetoothd is killed and comes back", "noticed in 1 s, data 30 s after its return"),
    "R7": ("bluetoothd is frozen", "ping in 1 s, unavailable in 30 s, data 30 s after, no task left over"),
    "R8": ("the D-Bus daemon dies", "clients are told, the process ends in 10 s"),
    "R9": ("the adapter is unplugged, and returns under another name", "said once, data 30 s after its return"),
    "R10": ("a unit ends its link in the middle of a reply", "data in 15 s, no mixed reading"),
    "R11": ("a link stands, and nothing comes over it", "unavailable in 60 s, a new link after 45 s at most"),
    "R12": ("another program holds the notifications", "data in 30 s"),
    "R13": ("a killed proxy leaves its links", "data 30 s after the start"),
    "R14": ("a unit is held by the phone app", "one attempt a minute, data 60 s after, the cause named"),
    "R15": ("weak signal: 30 % of fragments lost, a lost link a minute", "90 % of polls, no wrong value"),
    "R16": ("no Bluetooth, or no permission to use it", "it serves and says why, once"),
    # Modbus
    "M1": ("replies come in pieces, or two at once", "the same reading for every split"),
    "M2": ("bad CRC, length, unit or function", "none accepted, the next request is answered"),
    "M3": ("a reply comes after its request was given up", "never taken for the next one's"),
    "M4": ("a device refuses a register block", "the others are read; refused three times, asked hourly"),
    "M5": ("a device is silent about a block", "the others are read, one timeout lost"),
    "M6": ("garbage and text among the notifications", "512 bytes kept at most, the next request is answered"),
    "M7": ("impossible values, all zeros", "not shown"),
    "M8": ("a device that stops answering when asked too fast", "its pause is kept, one request in flight"),
    "M9": ("a write is not confirmed", "what is shown is what was read"),
    # network
    "N1": ("Home Assistant restarts", "served anew in 1 s, nothing left of the old session"),
    "N2": ("Home Assistant loses power", "dropped in 60 s, a new client is served at once"),
    "N3": ("connections are reset, at every step", "nothing unhandled, files back to the baseline in 1 s"),
    "N4": ("a client stops reading", "256 KiB at most, others' states in 50 ms"),
    "N5": ("wrong key, or encrypted and plaintext mixed up", "the client reports exactly that"),
    "N6": ("two proxies swap addresses", "refused by name, recovered on the right host"),
    "N7": ("the proxy's address changes", "reachable and announced in 10 s"),
    "N8": ("no multicast", "reconnected in 60 s after a restart"),
    "N9": ("the proxy is restarted or killed", "connected in 10 s by its announcement, 60 s without"),
    "N10": ("its name on the network is taken, its mDNS port shared", "it serves, and warns"),
    "N11": ("its port is taken", "exit code 78, with the remedy"),
    "N12": ("several clients", "states to all, each ends by itself"),
    "N13": ("64 kbit/s with 300 ms", "no disconnect in 10 min"),
    # host
    "S1": ("the clock steps by years", "no disconnect, no deadline moved"),
    "S2": ("the process is stopped for 30 s", "sessions go on or are replaced, polls do not burst"),
    "S3": ("the loop or the reading wedges", "the watchdog is fed no more"),
    "S4": ("it is told to end, at any moment", "exit code 0 in 10 s, links given back, 200 times"),
    "S5": ("power fails while it writes", "it starts with the last state or none, 1000 times"),
    "S6": ("the disk is full or read-only", "it runs, with one warning"),
    "S7": ("64 files and no more", "new clients are refused, the links stay"),
    "S8": ("mistakes in the configuration", "a line each with file and key, exit code 78"),
    "S9": ("it crashes again and again", "the last error in systemd's status, then safe mode"),
    # a hostile peer
    "X1": ("malformed frames in every state", "no exception outside the error tree, 50 ms each, others unaffected"),
    "X2": ("byte by byte instead of at once", "the same events and bytes"),
    "X3": ("a client without the key", "the hello and one reject, closed in 10 s"),
    "X4": ("a replayed handshake", "no answer after it, closed in 10 s"),
    "X5": ("200 slow connections", "4 MiB at most, a real client in 2 s"),
    "X6": ("1000 connections a second", "a core at most, files back to the baseline, 20 log lines"),
    "X7": ("a client with the key, and no manners", "bounded, polls within 20 % of their period"),
    "X8": ("a flood of mDNS", "20 MiB at most, clients unaffected"),
    "X9": ("control characters in a client's name", "printable, 64 characters"),
    "X10": ("a unit that floods the link", "half a core, buffers bounded"),
}

# What can't be shown on a machine without its hardware, and what would show it on a Raspberry Pi.
NOT_SHOWN: Final[dict[str, str]] = {}
