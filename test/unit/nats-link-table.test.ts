import fc from "fast-check";
import { expect, test } from "vitest";
import { ContestedNames } from "../../shared/nats/contested-names.ts";
import { parseGoDurationMs } from "../../shared/nats/go-duration.ts";
import { type Link, type LinkChange, LinkTable, REPLACED } from "../../shared/nats/link-table.ts";

const link = (cid: number, name = `leaf${cid}`, over: Partial<Link> = {}): Link => ({
  name,
  cid,
  publicKey: null,
  rttMs: null,
  sinceMs: 0,
  ...over,
});
const said = (changes: readonly LinkChange[]) => changes.map((change) => `${change.kind} ${change.link.cid}`);

test("up once, down once, whatever is heard twice", () => {
  const table = new LinkTable();
  expect(said(table.connected(link(1), 0))).toEqual(["up 1"]);
  expect(table.connected(link(1), 0)).toEqual([]);
  expect(said(table.disconnected(1, 0, "x"))).toEqual(["down 1"]);
  expect(table.disconnected(1, 0, "x")).toEqual([]);
});

test("a new connection of a name takes the place of one whose end was not noticed", () => {
  const table = new LinkTable();
  table.connected(link(1, "leaf1"), 0);
  expect(said(table.connected(link(2, "leaf1"), 0))).toEqual(["down 1", "up 2"]);
  expect(table.disconnected(1, 0, "Duplicate")).toEqual([]);
  expect(table.links.map((l) => l.cid)).toEqual([2]);
});

test("a list made before a link closed does not bring it back", () => {
  const table = new LinkTable();
  table.connected(link(1), 0);
  const known = table.known();
  table.disconnected(1, 0, "x");
  expect(table.listed([link(1)], known, 0)).toEqual([]);
});

test("a list made before a link came does not take it away", () => {
  const table = new LinkTable();
  const known = table.known();
  table.connected(link(1), 0);
  expect(table.listed([], known, 0)).toEqual([]);
  expect(said(table.listed([], table.known(), 0))).toEqual(["down 1"]);
});

test("the list brings round trips, and links that no event told of", () => {
  const table = new LinkTable();
  table.connected(link(1, "leaf1", { publicKey: "U1", sinceMs: 5 }), 0);
  expect(said(table.listed([link(1, "leaf1", { rttMs: 2.5 }), link(3)], table.known(), 0))).toEqual(["up 3"]);
  expect(table.links[0]).toEqual(link(1, "leaf1", { publicKey: "U1", sinceMs: 5, rttMs: 2.5 }));
});

test("a server that was restarted counts from the beginning", () => {
  const table = new LinkTable();
  table.connected(link(7), 0);
  expect(said(table.serverGone(0, "restarted"))).toEqual(["down 7"]);
  expect(said(table.connected(link(7), 0))).toEqual(["up 7"]);
});

test("in whatever order events and lists come, changes alternate per link and end at the truth", () => {
  // The truth: a history of links made and closed. Events are delivered in order, some are lost; lists are taken at
  // any moment of the history and delivered later.
  const step = fc.record({ leaf: fc.integer({ min: 1, max: 3 }), lost: fc.boolean(), listDelay: fc.nat(3) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const table = new LinkTable();
      const changes: LinkChange[] = [];
      const truth = new Map<string, Link>();
      const pending: { at: number; links: Link[]; known: ReadonlySet<number> }[] = [];
      let cid = 0;
      steps.forEach(({ leaf, lost, listDelay }, now) => {
        const name = `leaf${leaf}`;
        pending.push({ at: now + listDelay, links: [...truth.values()], known: table.known() });
        const old = truth.get(name);
        if (old) {
          truth.delete(name);
          if (!lost) changes.push(...table.disconnected(old.cid, now, "closed"));
        } else {
          const made = link(++cid, name);
          truth.set(name, made);
          if (!lost) changes.push(...table.connected(made, now));
        }
        for (const list of pending.filter((entry) => entry.at === now)) {
          changes.push(...table.listed(list.links, list.known, now));
        }
      });
      changes.push(...table.listed([...truth.values()], table.known(), steps.length));
      expect(table.links.map((l) => l.cid).sort()).toEqual([...truth.values()].map((l) => l.cid).sort());
      const up = new Set<number>();
      for (const { kind, link: changed } of changes) {
        expect(up.has(changed.cid)).toBe(kind === "down");
        if (kind === "up") up.add(changed.cid);
        else up.delete(changed.cid);
      }
    }),
  );
});

test.each([
  ["145µs", 0.145],
  ["1.5ms", 1.5],
  ["1m2.5s", 62_500],
  ["2h0m0s", 7_200_000],
  ["777ns", 0.000777],
  ["0s", 0],
  ["", undefined],
  ["1 s", undefined],
  ["soon", undefined],
])("%s", (text, ms) => {
  const read = parseGoDurationMs(text);
  if (ms === undefined) expect(read).toBeUndefined();
  else expect(read).toBeCloseTo(ms, 9);
});

test("a name is contested while its links replace each other, and no longer", () => {
  const contested = new ContestedNames();
  const replaced = (name: string, atMs: number) =>
    contested.observe({ kind: "down", link: link(1, name), atMs, reason: REPLACED });
  replaced("leaf1", 0);
  replaced("leaf2", 100);
  replaced("leaf1", 200);
  expect(contested.names(200)).toEqual([]);
  contested.observe({ kind: "down", link: link(1, "leaf1"), atMs: 300, reason: "Client Closed" });
  contested.observe({ kind: "up", link: link(1, "leaf1"), atMs: 300 });
  expect(contested.names(300)).toEqual([]);
  replaced("leaf1", 400);
  expect(contested.names(400)).toEqual(["leaf1"]);
  expect(contested.names(20_000)).toEqual([]);
  replaced("leaf1", 20_000);
  expect(contested.names(20_000)).toEqual([]);
});
