#!/usr/bin/env python3
"""Audits the validators of a ledger over their RPC, and shares no code with them.

usage: ledger_audit.py [--follow] [--genesis FILE] [--record FILE] URL...

It reads every height of every validator and fails at the first of these:
  - a validator names another final block for a height than any validator ever did (--record outlives restarts);
  - a header does not follow the one before it, or its bytes do not have its name (BLAKE3, own code);
  - a certificate names another block of its height, too few signers, or strangers;
  - two validators execute the same height to different states, or a header names another state;
  - an account's transactions in blocks do not have the nonces 0, 1, 2, ...;
  - a transaction's outcome differs between validators;
  - coins do not add up to the supply in an answer of /v1/supply;
  - with --genesis: its own ledger, replayed from the blocks, differs from an answer in any part, or an account's;
  - a validator tells of equivocation, or a block has the proof of one;
  - in the end, a validator does not reach the highest height that any was seen at.

--follow goes on until standard input ends (or Ctrl-C), then looks at everything a last time. The last line says what
was checked; the exit code is 0 only if all was right. Python 3.11 or later, standard library alone.
"""

import argparse
import base64
import http.client
import json
import os
import re
import select
import struct
import sys
import time
import tomllib
import urllib.parse

POLL_S = 0.1
CALL_S = 5.0
LAST_LOOK_S = 120.0
BASE = 10**9
BPS = 10**4
MB = 10**6


class Wrong(Exception):
    """Something that must never be."""


class Silent(Exception):
    """A validator does not answer; it may be dead for a while."""


class Missing(Exception):
    """The validator answers that there is no such thing."""


def coins(text):
    """Base units of a decimal number of coins."""
    whole, _, rest = text.partition(".")
    if not re.fullmatch(r"[0-9]+", whole) or not re.fullmatch(r"[0-9]{0,9}", rest):
        raise Wrong(f"`{text}` is no number of coins")
    return int(whole) * BASE + int(rest.ljust(9, "0"))


# BLAKE3, written from its specification (https://github.com/BLAKE3-team/BLAKE3-specs), hash mode alone.

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
MIXES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
MASK = 0xFFFFFFFF


def compress(chaining, words, counter, length, flags):
    v = [*chaining, *IV[:4], counter & MASK, counter >> 32, length, flags]
    m = words
    for turn in range(7):
        for i, (a, b, c, d) in enumerate(MIXES):
            v[a] = (v[a] + v[b] + m[2 * i]) & MASK
            x = v[d] ^ v[a]
            v[d] = (x >> 16 | x << 16) & MASK
            v[c] = (v[c] + v[d]) & MASK
            x = v[b] ^ v[c]
            v[b] = (x >> 12 | x << 20) & MASK
            v[a] = (v[a] + v[b] + m[2 * i + 1]) & MASK
            x = v[d] ^ v[a]
            v[d] = (x >> 8 | x << 24) & MASK
            v[c] = (v[c] + v[d]) & MASK
            x = v[b] ^ v[c]
            v[b] = (x >> 7 | x << 25) & MASK
        if turn < 6:
            m = [m[at] for at in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def chunk(data, counter, root):
    chaining = IV
    blocks = [data[at:at + 64] for at in range(0, len(data), 64)] or [b""]
    for at, block in enumerate(blocks):
        flags = CHUNK_START if at == 0 else 0
        if at == len(blocks) - 1:
            flags |= CHUNK_END | (ROOT if root else 0)
        words = struct.unpack("<16I", block.ljust(64, b"\0"))
        chaining = compress(chaining, words, counter, len(block), flags)
    return chaining


def tree(data, counter, root):
    if len(data) <= 1024:
        return chunk(data, counter, root)
    half = 1024
    while half * 2 < len(data):
        half *= 2
    left = tree(data[:half], counter, False)
    right = tree(data[half:], counter + half // 1024, False)
    return compress(IV, left + right, 0, 64, PARENT | (ROOT if root else 0))


def blake3(data):
    return struct.pack("<8I", *tree(data, 0, True))


def digest(domain, *parts):
    return blake3(domain.encode() + b"\0" + b"".join(parts))


class Reader:
    """Borsh, as docs/ledger.md describes blocks and transactions."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Wrong("bytes of a block end early")
        self.at += count
        return self.data[self.at - count:self.at]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return int.from_bytes(self.take(4), "little")

    def u64(self):
        return int.from_bytes(self.take(8), "little")

    def key(self):
        return self.take(32).hex()

    def each(self, read):
        return [read() for _ in range(self.u32())]


def read_header(data):
    r = Reader(data)
    header = {
        "chain": r.key(), "height": r.u64(), "parent": r.key(), "state_height": r.u64(), "state_root": r.key(),
        "tx_root": r.key(), "time": r.u64(), "proposer": r.key(), "voters": r.each(r.key),
    }
    header["octets"] = r.at
    return header


ACTIONS = ("transfer", "escrow_add", "escrow_withdraw", "lane_open", "lane_raise", "lane_close", "ticket")

# The action by which validators join, leave and are convicted; the last is its variant 3.
VALIDATOR_ACTION, REPORT = 11, 3


class Unknown(Exception):
    """An action that this program cannot read."""


def read_tx(r):
    """One signed transaction; what is signed is kept for its name."""
    start = r.at
    tx = {"chain": r.key(), "sender": r.key(), "nonce": r.u64(), "fee": r.u64(), "valid_until": r.u64()}
    kind = r.u8()
    if kind == VALIDATOR_ACTION and r.u8() == REPORT:
        raise Wrong(f"a proof that a validator signed conflicting votes is in a block: {tx['sender']} brought it")
    if kind >= len(ACTIONS):
        raise Unknown(f"action {kind} of {tx['sender']}")
    tx["action"] = ACTIONS[kind]
    globals()["read_" + tx["action"]](r, tx)
    tx["hash"] = digest("srwan tx hash v1", r.data[start:r.at]).hex()
    r.take(64)
    return tx


def read_transfer(r, tx):
    tx["to"], tx["amount"] = r.key(), r.u64()


def read_escrow_add(r, tx):
    tx["amount"] = r.u64()


read_escrow_withdraw = read_escrow_add


def read_lane_open(r, tx):
    tx["path"] = r.key()
    tx["payees"] = r.each(lambda: (r.key(), r.u32()))
    tx["price"], tx["cap"], tx["reserve"], tx["expiry"] = r.u64(), r.u64(), r.u64(), r.u64()


def read_lane_raise(r, tx):
    tx["lane"], tx["amount"] = r.key(), r.u64()


def read_lane_close(r, tx):
    tx["lane"] = r.key()


def read_ticket(r, tx):
    tx["lane"] = r.key()
    r.take(96)
    tx["receipt"] = r.u64()
    r.take(16 + 64 + 96)
    tx["delivery"] = r.u64()
    r.take(64)
    r.each(lambda: r.take(32 * 3 + 8 * 7 + 64))


class Door:
    """The RPC of one validator."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self.host = urllib.parse.urlsplit(self.url).netloc
        self.connection = None

    def text(self, path):
        for attempt in (1, 2):
            fresh = self.connection is None
            try:
                if fresh:
                    self.connection = http.client.HTTPConnection(self.host, timeout=CALL_S)
                self.connection.request("GET", path)
                answer = self.connection.getresponse()
                body = answer.read().decode()
                if answer.status == 404:
                    raise Missing(f"{self.url}{path}")
                if answer.status != 200:
                    raise Silent(f"{self.url}{path}: {answer.status}")
                return body
            except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
                # A connection that was kept may have died with the validator it led to.
                if fresh or attempt == 2:
                    raise Silent(f"{self.url}: {error}") from error
        raise Silent(self.url)

    def get(self, path):
        body = self.text(path)
        try:
            return json.loads(body)
        except json.JSONDecodeError as error:
            raise Silent(f"{self.url}{path}: cut answer") from error


class Record:
    """What was final: the first word of any validator on each height, kept in a file."""

    def __init__(self, path):
        self.headers, self.roots, self.outcomes = {}, {}, {}
        self.file = None
        if path:
            if os.path.exists(path):
                with open(path, encoding="utf-8") as lines:
                    for line in lines:
                        # A line that was cut by a crash of this program is written again.
                        if line.endswith("\n"):
                            self.take(json.loads(line))
            self.file = open(path, "a", encoding="utf-8")

    def take(self, entry):
        what, height, value = entry
        getattr(self, what).setdefault(height, value)

    def agree(self, what, key, value, who):
        """Remembers the first value of a key; any other one is wrong for ever."""
        table = getattr(self, what)
        known = table.get(key)
        if known is None:
            table[key] = value
            if self.file:
                self.file.write(json.dumps([what, key, value]) + "\n")
                self.file.flush()
        elif known != value:
            raise Wrong(f"{what} {key}: {who} says {value}, recorded is {known}")


PARTS = ("accounts", "escrows", "lanes", "bonds", "groups", "infra", "validators", "dividends", "subsidy", "treasury",
         "burned")


class Ledger:
    """A second ledger: the rules of docs/ledger.md for transfers, escrows, lanes, tickets and fees."""

    def __init__(self, genesis, params):
        written = genesis.get("params", {})
        self.params = params
        self.subsidy_blocks = written.get("subsidy_blocks", 47_304_000)
        self.height, self.stopped, self.fees = 0, None, 0
        self.balance = {row["key"]: coins(str(row["coins"])) for row in genesis.get("account", [])}
        self.nonce, self.escrow, self.lanes = {}, {}, {}
        self.power = {row["key"]: row.get("power", 1) for row in genesis["validator"]}
        self.account = {row["key"]: row.get("account", row["key"]) for row in genesis["validator"]}
        self.pool = dict.fromkeys(PARTS[5:], 0)
        self.subsidy_total = coins(str(genesis.get("subsidy_coins", 0)))
        self.pool["subsidy"] = self.subsidy_total
        self.supply = coins(str(genesis["supply_coins"]))
        bonds = sum(coins(str(row.get("bond_coins", 0))) for row in genesis["validator"])
        self.bonds = bonds
        self.pool["treasury"] = self.supply - self.subsidy_total - bonds - sum(self.balance.values())

    def add(self, table, key, amount):
        table[key] = table.get(key, 0) + amount
        if table[key] < 0:
            raise Wrong(f"height {self.height + 1}: {key} goes below zero")

    def block(self, header, txs, outcomes):
        height = header["height"]
        for tx, outcome in zip(txs, outcomes):
            self.tx(tx, outcome, height)
        for lane_id in [i for i, lane in self.lanes.items() if (lane["until"] or lane["expiry"]) <= height]:
            self.lane_due(lane_id, height)
        self.end(header)
        self.height = height
        total = sum(self.parts().values())
        if total != self.supply:
            raise Wrong(f"height {height}: the replayed coins are {total}, the supply {self.supply}")

    def tx(self, tx, outcome, height):
        sender = tx["sender"]
        if outcome == "refused":
            return
        expected = self.nonce.get(sender, 0)
        if tx["nonce"] != expected:
            raise Wrong(f"height {height}: {sender} has nonce {tx['nonce']} after {expected - 1}")
        self.nonce[sender] = expected + 1
        from_lane = 0
        if outcome == "applied":
            from_lane = getattr(self, "do_" + tx["action"])(tx, height) or 0
        self.add(self.balance, sender, from_lane - tx["fee"])
        self.fees += tx["fee"]

    def do_transfer(self, tx, _height):
        self.add(self.balance, tx["sender"], -tx["amount"])
        self.add(self.balance, tx["to"], tx["amount"])

    def do_escrow_add(self, tx, _height):
        self.add(self.balance, tx["sender"], -tx["amount"])
        self.add(self.escrow, tx["sender"], tx["amount"])

    def do_escrow_withdraw(self, tx, _height):
        self.add(self.escrow, tx["sender"], -tx["amount"])
        self.add(self.balance, tx["sender"], tx["amount"])

    def do_lane_open(self, tx, _height):
        nonce = tx["nonce"].to_bytes(8, "little")
        lane = digest("srwan lane v1", bytes.fromhex(tx["chain"]), bytes.fromhex(tx["sender"]), nonce).hex()
        self.add(self.escrow, tx["sender"], -tx["cap"] - tx["reserve"])
        self.lanes[lane] = {
            "payer": tx["sender"], "payees": tx["payees"], "price": tx["price"], "cap": tx["cap"],
            "reserve": tx["reserve"], "expiry": tx["expiry"], "until": None, "settled": 0, "paid": 0,
            "infra_bps": self.params["infra_bps"],
        }

    def do_lane_raise(self, tx, _height):
        self.add(self.escrow, tx["sender"], -tx["amount"])
        self.lanes[tx["lane"]]["cap"] += tx["amount"]

    def do_lane_close(self, tx, height):
        self.lanes[tx["lane"]]["until"] = height + self.params["claim_window_blocks"]

    def do_ticket(self, tx, height):
        lane = self.lanes.get(tx["lane"])
        if lane is None:
            raise Wrong(f"height {height}: a ticket was applied to lane {tx['lane']}, which does not exist")
        octets_max = ((lane["cap"] + 1) * MB - 1) // lane["price"]
        claimed = min(tx["receipt"], tx["delivery"], octets_max)
        if claimed <= lane["settled"]:
            raise Wrong(f"height {height}: ticket {tx['hash']} was applied and settles nothing: a second settlement")
        infra_before, shares_before = self.divide(lane, lane["settled"])
        infra, shares = self.divide(lane, claimed)
        self.pool["infra"] += infra - infra_before
        for (payee, _), share, before in zip(lane["payees"], shares, shares_before):
            self.add(self.balance, payee, share - before)
        lane["settled"], lane["paid"] = claimed, infra + sum(shares)
        from_lane = min(tx["fee"], lane["reserve"])
        lane["reserve"] -= from_lane
        return from_lane

    def divide(self, lane, octets):
        charge = octets * lane["price"] // MB
        infra = charge * lane["infra_bps"] // BPS
        weights = sum(weight for _, weight in lane["payees"])
        return infra, [(charge - infra) * weight // weights for _, weight in lane["payees"]]

    def lane_due(self, lane_id, height):
        lane = self.lanes[lane_id]
        if lane["until"] is None:
            lane["until"] = height + self.params["claim_window_blocks"]
            return
        carry = lane["settled"] * lane["price"] // MB - lane["paid"]
        self.pool["infra"] += carry
        self.add(self.escrow, lane["payer"], lane["cap"] + lane["reserve"] - lane["paid"] - carry)
        del self.lanes[lane_id]

    def released(self, height):
        return self.subsidy_total * min(height, self.subsidy_blocks) // self.subsidy_blocks

    def end(self, header):
        height = header["height"]
        subsidy = self.released(height) - self.released(height - 1)
        self.pool["subsidy"] -= subsidy
        income, self.fees = self.fees + subsidy, 0
        part = income * self.params["validator_bps"] // BPS
        self.pool["validators"] += part
        self.pool["dividends"] += income - part
        voters = [key for key in header["voters"] if key in self.power]
        total = sum(self.power[key] for key in voters)
        if total == 0:
            return
        pot = self.pool["validators"]
        parts = {key: pot * self.power[key] // total for key in voters}
        odd = pot - sum(parts.values())
        for key in sorted(voters, key=lambda key: (-(pot * self.power[key] % total), voters.index(key)))[:odd]:
            parts[key] += 1
        for key, amount in parts.items():
            self.add(self.balance, self.account[key], amount)
        self.pool["validators"] = 0

    def parts(self):
        held = sum(lane["cap"] + lane["reserve"] - lane["paid"] for lane in self.lanes.values())
        return {"accounts": sum(self.balance.values()), "escrows": sum(self.escrow.values()), "lanes": held,
                "bonds": self.bonds, "groups": 0, **self.pool}


class Audit:
    def __init__(self, urls, record, genesis):
        self.doors = [Door(url) for url in urls]
        self.record = Record(record)
        self.genesis, self.ledger = genesis, None
        self.next = dict.fromkeys(urls, 1)
        self.next_certificate = dict.fromkeys(urls, 1)
        self.highest, self.supply = 0, None
        self.blocks, self.certificates = {}, set()
        # Parts of the supply by height: as the first validator told them, and as they were replayed.
        self.samples, self.replayed = {}, {}
        self.committee, self.chain = set(), None
        self.supplies, self.txs, self.accounts = set(), 0, 0

    def round(self):
        """Reads what is new at every validator; returns who did not answer."""
        silent = []
        for door in self.doors:
            try:
                self.visit(door)
            except Silent as error:
                silent.append(str(error))
        self.replay()
        return silent

    def visit(self, door):
        status = door.get("/v1/status")
        height = status["height"]
        self.chain = self.chain or status["chain_id"]
        if status["chain_id"] != self.chain:
            raise Wrong(f"{door.url} is on another ledger")
        if not status["conserved"]:
            raise Wrong(f"{door.url} says itself that coins do not add up at height {height}")
        self.committee |= set(status.get("committee") or [v["account"] for v in status["validators"]])
        if self.genesis and self.ledger is None:
            self.ledger = Ledger(self.genesis, status["params"])
        if height > 0:
            self.record.agree("roots", str(height), status["state_root"], door.url)
        self.highest = max(self.highest, height)
        self.sample_supply(door)
        while self.next[door.url] <= height:
            self.read_block(door, self.next[door.url])
            self.next[door.url] += 1
        self.read_certificates(door, height)
        self.look_for_evidence(door)

    def sample_supply(self, door):
        answer = door.get("/v1/supply")
        parts = {name[:-6]: coins(value) for name, value in answer.items()
                 if name.endswith("_coins") and name not in ("supply_coins", "total_coins")}
        supply, height = coins(answer["supply_coins"]), answer["height"]
        if sum(parts.values()) != supply:
            raise Wrong(f"{door.url}: at height {height} coins add up to {sum(parts.values())}, not {supply}")
        self.supply = self.supply or supply
        if supply != self.supply:
            raise Wrong(f"{door.url}: the supply is {supply}, was {self.supply}")
        self.supplies.add(height)
        first, known = self.samples.setdefault(height, (door.url, parts))
        if known != parts:
            raise Wrong(f"{door.url}: at height {height} coins are in other places than {first} says")
        self.compare_parts(height)

    def read_block(self, door, height):
        try:
            answer, shown = door.get(f"/v1/block/{height}"), door.get(f"/v1/header/{height}")
        except Missing as error:
            raise Wrong(f"{error}: a final block is gone") from error
        data, header_bytes = base64.b64decode(answer["bytes"]), base64.b64decode(shown["header"])
        if not data.startswith(header_bytes):
            raise Wrong(f"{door.url}: block {height} has another header than /v1/header/{height}")
        header = read_header(header_bytes)
        same = (header["height"], header["chain"], header["octets"], shown["hash"])
        if same != (height, self.chain, len(header_bytes), answer["hash"]):
            raise Wrong(f"{door.url}: header {height} is inconsistent")
        known = self.record.headers.get(str(height))
        identity = {"hash": answer["hash"], "digest": shown["digest"], "bytes": shown["header"]}
        if known is None:
            self.check_header(door, header, header_bytes, answer["hash"])
        self.record.agree("headers", str(height), identity, door.url)
        if header["state_height"] > 0:
            self.record.agree("roots", str(header["state_height"]), header["state_root"], door.url)
        if height not in self.blocks and (self.ledger is None or height > self.ledger.height):
            self.blocks[height] = (door, header, data[len(header_bytes):], answer["txs"])
        self.check_outcomes(door, height, answer["txs"])

    def check_header(self, door, header, header_bytes, name):
        height = header["height"]
        if digest("srwan block v2", header_bytes).hex() != name:
            raise Wrong(f"{door.url}: header {height} does not have the name {name}")
        before = self.record.headers.get(str(height - 1))
        if before and header["parent"] != before["hash"]:
            raise Wrong(f"{door.url}: block {height} does not follow block {height - 1}")
        if not header["state_height"] < height:
            raise Wrong(f"{door.url}: block {height} names the state of {header['state_height']}")

    def check_outcomes(self, door, height, txs):
        for name in txs:
            try:
                answer = door.get(f"/v1/tx/{name}")
            except Missing:
                # A validator keeps the last 20,000 receipts; the blocks are still compared.
                continue
            if answer["height"] is not None and answer["height"] != height:
                raise Wrong(f"{door.url}: {name} is in block {height}, its receipt says {answer['height']}")
            self.record.agree("outcomes", name, answer["status"], door.url)

    def read_certificates(self, door, height):
        while self.next_certificate[door.url] <= height:
            try:
                answer = door.get(f"/v1/certificate/{self.next_certificate[door.url]}")
            except Missing:
                return
            certified = answer["height"]
            known = self.record.headers.get(str(certified))
            if known is None:
                return
            if answer["digest"] != known["digest"]:
                raise Wrong(f"{door.url}: the certificate of height {certified} names {answer['digest']}, "
                            f"the block is {known['digest']}: conflicting votes were signed")
            signers = answer["signers"]
            quorum = len(self.committee) - (len(self.committee) - 1) // 3
            if len(set(signers)) != len(signers) or len(signers) < quorum or not set(signers) <= self.committee:
                raise Wrong(f"{door.url}: the certificate of height {certified} is signed by {signers}")
            self.certificates.add(certified)
            self.next_certificate[door.url] = certified + 1

    def look_for_evidence(self, door):
        try:
            metrics = door.text("/metrics")
        except Missing:
            return
        for line in metrics.splitlines():
            if re.match(r"^[a-z_]*(equivocation|conflict)[a-z_]*(\{.*\})? ", line) and float(line.rsplit(" ", 1)[1]):
                raise Wrong(f"{door.url} tells of conflicting votes: {line}")

    def replay(self):
        """Executes blocks in order in the own ledger, and compares it with what validators told."""
        if self.ledger is None or self.ledger.stopped:
            self.blocks.clear()
            return
        while (height := self.ledger.height + 1) in self.blocks:
            door, header, body, names = self.blocks[height]
            reader = Reader(body)
            try:
                txs = reader.each(lambda: read_tx(reader))
            except Unknown as error:
                self.ledger.stopped = f"from height {height} on no replay: {error}"
                return
            if reader.at != len(body) or [tx["hash"] for tx in txs] != names:
                raise Wrong(f"{door.url}: block {height} lists other transactions than it has")
            if digest("srwan tx root v1", *(bytes.fromhex(name) for name in names)).hex() != header["tx_root"]:
                raise Wrong(f"{door.url}: block {height} has another digest of its transactions")
            outcomes = [self.record.outcomes.get(name) for name in names]
            if None in outcomes:
                self.ledger.stopped = f"from height {height} on no replay: receipts are gone"
                return
            self.ledger.block(header, txs, outcomes)
            self.txs += len(txs)
            del self.blocks[height]
            self.replayed[height] = self.ledger.parts()
            self.compare_parts(height)

    def compare_parts(self, height):
        url, parts = self.samples.get(height, (None, None))
        own = self.replayed.get(height)
        if parts is None or own is None:
            return
        wrong = [f"{name}: replayed {own.get(name, 0)}, told {told}" for name, told in parts.items()
                 if own.get(name, 0) != told]
        if wrong:
            raise Wrong(f"{url} at height {height}: " + "; ".join(wrong))

    def compare_accounts(self):
        """Every account, at a height that did not change while it was read."""
        if self.ledger is None or self.ledger.stopped:
            return
        keys = set(self.ledger.balance) | set(self.ledger.escrow)
        for door in self.doors:
            for key in sorted(keys):
                self.compare_account(door, key)

    def compare_account(self, door, key):
        for _ in range(20):
            before = door.get("/v1/status")["height"]
            answer = door.get(f"/v1/account/{key}")
            after = door.get("/v1/status")["height"]
            self.round()
            if before != after or self.ledger.height < after:
                continue
            if self.ledger.height == after:
                told = (coins(answer["balance_coins"]), answer["nonce"], coins(answer["escrow_free_coins"]))
                own = (self.ledger.balance.get(key, 0), self.ledger.nonce.get(key, 0), self.ledger.escrow.get(key, 0))
                if told != own:
                    raise Wrong(f"{door.url}: account {key} is {told}, replayed {own} at height {after}")
                self.accounts += 1
                return
        raise Wrong(f"{door.url}: account {key} was never at rest")

    def finish(self):
        """Reads until every validator is where the highest was seen, and all was compared."""
        deadline = time.monotonic() + LAST_LOOK_S
        while True:
            silent = self.round()
            behind = [url for url, height in self.next.items() if height <= self.highest]
            if not silent and not behind:
                break
            if time.monotonic() > deadline:
                raise Wrong(f"height {self.highest} was final and is not told by {behind or silent}")
            time.sleep(POLL_S)
        self.compare_accounts()
        return self.summary()

    def summary(self):
        text = f"{len(self.doors)} validators, {self.highest} heights, {len(self.certificates)} certificates, " \
               f"{len(self.record.outcomes)} outcomes, supply read at {len(self.supplies)} heights"
        if self.ledger is None:
            return text + "; no replay without --genesis"
        text += f"; replayed {self.ledger.height} heights with {self.txs} transactions, coins exact at each"
        text += f", {self.accounts} accounts compared"
        return text + (f"; {self.ledger.stopped}" if self.ledger.stopped else "")


def input_ended(wait):
    """Whether standard input has ended; anything that is written there is ignored."""
    ready, _, _ = select.select([sys.stdin], [], [], wait)
    return bool(ready) and not os.read(sys.stdin.fileno(), 4096)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--follow", action="store_true", help="until standard input ends")
    parser.add_argument("--genesis", help="genesis.toml, to replay the whole ledger")
    parser.add_argument("--record", help="file that remembers what was final")
    parser.add_argument("urls", nargs="+", metavar="URL", help="RPC of a validator")
    options = parser.parse_args()
    genesis = None
    if options.genesis:
        with open(options.genesis, "rb") as file:
            genesis = tomllib.load(file)
    audit = Audit(options.urls, options.record, genesis)
    try:
        try:
            while options.follow and not input_ended(POLL_S):
                audit.round()
        except KeyboardInterrupt:
            pass
        print("ok:", audit.finish(), flush=True)
    except Wrong as error:
        print("WRONG:", error, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
