#!/usr/bin/env python3
"""The audit sees each kind of lie: a small ledger is told truthfully, then with one thing changed.

run: python3 scripts/test_ledger_audit.py
"""

import base64
import copy
import json
import sys
import unittest

sys.dont_write_bytecode = True

import ledger_audit as audit  # noqa: E402 (after the line that keeps the folder clean)

CHAIN = b"\x07" * 32
ALICE, BOB, CAROL, VALIDATOR = (bytes([number]) * 32 for number in (1, 2, 3, 9))
GENESIS = {
    "supply_coins": 1000,
    "account": [{"key": key.hex(), "coins": "100"} for key in (ALICE, BOB, CAROL)],
    "validator": [{"key": VALIDATOR.hex(), "power": 1}],
}
PARAMS = {"infra_bps": 10, "validator_bps": 2500, "claim_window_blocks": 2}
FEE = 1_000_000


def u32(number):
    return number.to_bytes(4, "little")


def u64(number):
    return number.to_bytes(8, "little")


def tx(sender, nonce, kind, body):
    signed = CHAIN + sender + u64(nonce) + u64(FEE) + u64(2**64 - 1) + bytes([kind]) + body
    return audit.digest("srwan tx hash v1", signed).hex(), signed + bytes(64)


def transfer(sender, nonce, to, amount):
    return tx(sender, nonce, 0, to + u64(amount))


def ticket(sender, nonce, lane, octets):
    evidence = CHAIN + lane + bytes(32) + u64(octets)
    return tx(sender, nonce, 6, lane + evidence + u64(10**7) + u64(99) + bytes(64) + evidence + bytes(64) + u32(0))


LANE = audit.digest("srwan lane v1", CHAIN, ALICE, u64(1))
OPEN = bytes(32) + u32(2) + BOB + u32(1) + CAROL + u32(2) + u64(10**7) + u64(10**9) + u64(1_500_000) + u64(99)
BLOCKS = [
    [transfer(BOB, 0, CAROL, 5)],
    [tx(ALICE, 0, 1, u64(2 * 10**9)), tx(ALICE, 1, 3, OPEN)],
    [ticket(BOB, 1, LANE, 12_345_678), transfer(ALICE, 2, BOB, 7)],
    [tx(ALICE, 3, 5, LANE), ticket(BOB, 2, LANE, 20_000_001)],
    [], [], [],
]


class Chain:
    """What a validator tells, by path."""

    def __init__(self, blocks=None):
        self.answers, self.headers = {}, {}
        self.blocks = BLOCKS if blocks is None else blocks
        self.ledger = audit.Ledger(GENESIS, PARAMS)
        parent = CHAIN
        for height, txs in enumerate(self.blocks, 1):
            parent = self.add(height, parent, txs)
        self.tell("/metrics", "srwan_equivocations_total 0\n")

    def tell(self, path, answer):
        self.answers[path] = answer

    def add(self, height, parent, txs):
        names = [name for name, _ in txs]
        root = audit.digest("srwan tx root v1", *(bytes.fromhex(name) for name in names))
        state = bytes([height - 1]) * 32
        header = CHAIN + u64(height) + parent + u64(height - 1) + state + root + u64(0) + VALIDATOR + u32(1) + VALIDATOR
        name = audit.digest("srwan block v2", header)
        body = u32(len(txs)) + b"".join(data for _, data in txs)
        shown = base64.b64encode(header).decode()
        self.tell(f"/v1/header/{height}", {"hash": name.hex(), "digest": name.hex()[::-1], "header": shown})
        self.tell(f"/v1/block/{height}",
                  {"hash": name.hex(), "txs": names, "bytes": base64.b64encode(header + body).decode()})
        self.tell(f"/v1/certificate/{height}",
                  {"height": height, "digest": name.hex()[::-1], "signers": [VALIDATOR.hex()]})
        for tx_name in names:
            self.tell(f"/v1/tx/{tx_name}", {"height": height, "status": "applied"})
        reader = audit.Reader(body)
        self.ledger.block(audit.read_header(header), reader.each(lambda: audit.read_tx(reader)), ["applied"] * len(txs))
        self.tell_state(height)
        return name

    def tell_state(self, height):
        text = "{}.{:09}".format
        parts = {f"{name}_coins": text(*divmod(amount, 10**9)) for name, amount in self.ledger.parts().items()}
        self.tell("/v1/supply", {"height": height, "supply_coins": "1000", "total_coins": "1000", **parts})
        self.tell("/v1/status", {
            "chain_id": CHAIN.hex(), "height": height, "state_root": (bytes([height]) * 32).hex(), "conserved": True,
            "committee": [VALIDATOR.hex()], "validators": [], "params": PARAMS,
        })
        for key in (ALICE, BOB, CAROL, VALIDATOR):
            key = key.hex()
            balance, escrow = self.ledger.balance.get(key, 0), self.ledger.escrow.get(key, 0)
            self.tell(f"/v1/account/{key}", {
                "balance_coins": text(*divmod(balance, 10**9)), "nonce": self.ledger.nonce.get(key, 0),
                "escrow_free_coins": text(*divmod(escrow, 10**9)),
            })


class Door:
    """A validator that answers out of a chain."""

    def __init__(self, url, chain):
        self.url, self.chain = url, chain

    def text(self, path):
        if path not in self.chain.answers:
            raise audit.Missing(path)
        return self.chain.answers[path]

    def get(self, path):
        return json.loads(json.dumps(self.text(path)))


def judge(*chains):
    names = [f"v{number}" for number in range(len(chains))]
    judged = audit.Audit(names, None, GENESIS)
    judged.doors = [Door(name, chain) for name, chain in zip(names, chains)]
    return judged.finish()


def changed(path, **fields):
    chain = copy.deepcopy(Chain())
    chain.answers[path].update(fields)
    return chain


class TheAudit(unittest.TestCase):
    def setUp(self):
        audit.LAST_LOOK_S = 0.3

    def refuses(self, says, *chains):
        with self.assertRaises(audit.Wrong) as caught:
            judge(*chains)
        self.assertIn(says, str(caught.exception))

    def test_blake3_has_the_published_vectors(self):
        vectors = {
            0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
            2049: "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
        }
        for length, name in vectors.items():
            self.assertEqual(audit.blake3(bytes(at % 251 for at in range(length))).hex(), name)

    def test_the_truth_passes_and_says_how_much_was_seen(self):
        said = judge(Chain(), Chain())
        self.assertIn("2 validators, 7 heights, 7 certificates, 7 outcomes", said)
        self.assertIn("replayed 7 heights with 7 transactions, coins exact at each, 8 accounts compared", said)

    def test_a_ticket_pays_the_formula_of_the_ledger(self):
        ledger = Chain(BLOCKS[:3]).ledger
        # 12,345,678 octets at 10 coins/GB: C = 123,456,780; I = 123,456; R = 123,333,324 in thirds.
        self.assertEqual(ledger.pool["infra"], 123_456)
        self.assertEqual(ledger.balance[CAROL.hex()], 100 * 10**9 + 5 + 82_222_216)
        self.assertEqual(ledger.balance[BOB.hex()], 100 * 10**9 - 5 - FEE + 41_111_108 + 7)

    def test_another_block_at_a_height_is_seen(self):
        other = Chain([[transfer(BOB, 0, CAROL, 6)], *BLOCKS[1:]])
        self.refuses("headers 1: v1 says", Chain(), other)

    def test_another_state_at_a_height_is_seen(self):
        self.refuses("roots 7: v1 says", Chain(), changed("/v1/status", state_root="ab" * 32))

    def test_coins_out_of_nothing_are_seen(self):
        self.refuses("coins add up to", changed("/v1/supply", burned_coins="0.000000001"))

    def test_coins_in_the_wrong_place_are_seen(self):
        chain = Chain()
        supply = dict(chain.answers["/v1/supply"])
        supply["infra_coins"], supply["burned_coins"] = supply["burned_coins"], supply["infra_coins"]
        chain.tell("/v1/supply", supply)
        self.refuses("infra: replayed", chain)

    def test_an_account_with_too_much_is_seen(self):
        self.refuses("account " + CAROL.hex(), changed(f"/v1/account/{CAROL.hex()}", balance_coins="101"))

    def test_a_second_settlement_is_seen(self):
        chain = Chain()
        twice = [*BLOCKS[:3], [ticket(BOB, 2, LANE, 12_345_678)]]
        with self.assertRaises(audit.Wrong) as caught:
            chain = Chain(twice)
        self.assertIn("a second settlement", str(caught.exception))

    def test_a_nonce_that_is_used_twice_is_seen(self):
        with self.assertRaises(audit.Wrong) as caught:
            Chain([[transfer(BOB, 0, CAROL, 5)], [transfer(BOB, 0, CAROL, 6)]])
        self.assertIn("has nonce 0 after 0", str(caught.exception))

    def test_a_certificate_of_another_block_is_seen(self):
        self.refuses("conflicting votes", changed("/v1/certificate/3", digest="00" * 32))

    def test_a_certificate_of_strangers_is_seen(self):
        self.refuses("is signed by", changed("/v1/certificate/3", signers=[ALICE.hex()]))

    def test_equivocation_is_seen(self):
        chain = Chain()
        chain.tell("/metrics", "srwan_equivocations_total 1\n")
        self.refuses("conflicting votes: srwan_equivocations_total", chain)

    def test_a_proof_of_equivocation_in_a_block_is_seen(self):
        data = tx(BOB, 0, 11, bytes([3]) + bytes(200))[1]
        with self.assertRaises(audit.Wrong) as caught:
            audit.read_tx(audit.Reader(data))
        self.assertIn("conflicting votes", str(caught.exception))

    def test_a_lost_height_is_seen(self):
        short = Chain(BLOCKS[:5])
        self.refuses("height 7 was final", Chain(), short)

    def test_a_missing_block_is_seen(self):
        chain = Chain()
        del chain.answers["/v1/block/4"]
        self.refuses("a final block is gone", chain)

    def test_an_outcome_that_differs_is_seen(self):
        name = BLOCKS[0][0][0]
        self.refuses(f"outcomes {name}", Chain(), changed(f"/v1/tx/{name}", status="rejected"))


if __name__ == "__main__":
    unittest.main()
