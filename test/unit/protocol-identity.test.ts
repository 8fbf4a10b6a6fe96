import { describe, expect, it } from "vitest";
import {
  causedBy,
  eventId,
  identityHeaders,
  identityOf,
  rootIdentity,
  uuidv7,
} from "../../shared/protocol/identity.ts";
import { helloRequest, ingestReply, ingestRequest } from "../../shared/protocol/messages.ts";

describe("who an event is", () => {
  it("is a UUID of version 7 that sorts by its time", () => {
    const ids = [0, 1, 1000, 1_700_000_000_000, 1_700_000_000_001, 2 ** 47].map((ms) => uuidv7(ms));
    expect([...ids].sort()).toEqual(ids);
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(uuidv7(1_700_000_000_123).replaceAll("-", "").slice(0, 12), 16)).toBe(
      1_700_000_000_123,
    );
    expect(new Set(Array.from({ length: 1000 }, () => uuidv7(5))).size).toBe(1000);
  });

  it("is its own correlation and causation at the root, and says so by leaving the causation out", () => {
    const root = rootIdentity("r");
    expect(root).toEqual({ id: "r", correlationId: "r", causationId: "r" });
    expect(identityHeaders(root)).toEqual([
      ["Nats-Msg-Id", "r"],
      ["X-Correlation-ID", "r"],
    ]);
    const effect = causedBy(causedBy(root, "a"), "b");
    expect(effect).toEqual({ id: "b", correlationId: "r", causationId: "a" });
    const text = identityHeaders(effect)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("");
    expect(identityOf(text, "b")).toEqual(effect);
    expect(identityOf("", "x")).toEqual({ id: "x", correlationId: "x", causationId: "x" });
  });

  it("is what its publisher gave, else the same on every node by where, when and what", () => {
    const origin = { node: "leaf1", seq: 7 };
    const body = Buffer.from("body");
    const derived = eventId(origin, 5, "", body);
    expect(eventId(origin, 5, "Nats-Msg-Id: given\r\n", body)).toBe("given");
    expect(eventId({ ...origin }, 5, "Other: x\r\n", Buffer.from("body"))).toBe(derived);
    const others = [
      eventId({ ...origin, node: "leaf2" }, 5, "", body),
      eventId({ ...origin, seq: 8 }, 5, "", body),
      eventId(origin, 6, "", body),
      eventId(origin, 5, "", Buffer.from("other")),
    ];
    expect(new Set([derived, ...others]).size).toBe(5);
  });

  it("takes no empty or endless id for one", () => {
    const origin = { node: "leaf1", seq: 7 };
    const derived = eventId(origin, 5, "", Buffer.alloc(0));
    expect(eventId(origin, 5, "Nats-Msg-Id: \r\n", Buffer.alloc(0))).toBe(derived);
    expect(eventId(origin, 5, `Nats-Msg-Id: ${"a".repeat(257)}\r\n`, Buffer.alloc(0))).toBe(derived);
  });
});

describe("messages between the daemons", () => {
  const hello = { op: "hello", version: 1, seen: null, outbox: { first: 1, last: 0 } };

  it("are taken as they are, and nothing else for them", () => {
    expect(ingestRequest.parse(hello)).toEqual(hello);
    const odd = [null, [], {}, { op: "x" }, { ...hello, outbox: {} }, { op: "prints", marks: [] }];
    for (const message of odd) expect(ingestRequest.safeParse(message).success).toBe(false);
    expect(ingestReply.safeParse({ kind: "taken" }).success).toBe(false);
  });

  it("believe in no epoch that a position could not be written with", () => {
    const seen = (epoch: number) => helloRequest.safeParse({ ...hello, seen: { epoch, id: "a" } }).success;
    expect(seen(1e12)).toBe(true);
    expect([1e15, -1, 1.5, Number.MAX_SAFE_INTEGER].some(seen)).toBe(false);
  });
});
