import { expect, it } from "vitest";
import { type CimClient, connectCim } from "../../shared/client/connect-cim.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { Load } from "../support/load.ts";

/** Reads at a node from the start until ended; goes on from its last checkpoint on another node when told to move. */
class FollowingReader implements AsyncDisposable {
  readonly ids: string[] = [];
  readonly seqs = new Map<string, number[]>();
  checkpoint = "start";
  #end = new AbortController();
  #cim: CimClient | undefined;
  #running: Promise<void> = Promise.resolve();

  async on(url: string): Promise<this> {
    await this[Symbol.asyncDispose]();
    this.#end = new AbortController();
    this.#cim = await connectCim({ url });
    this.#running = this.#read(this.#cim, this.#end.signal);
    return this;
  }

  async #read(cim: CimClient, signal: AbortSignal): Promise<void> {
    for await (const event of cim.subscribe({ from: this.checkpoint, signal, waitMs: 90_000 })) {
      this.ids.push(event.id);
      const of = this.seqs.get(event.origin.node) ?? [];
      of.push(event.origin.seq);
      this.seqs.set(event.origin.node, of);
      this.checkpoint = event.checkpoint;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#running;
    await this.#cim?.close();
    this.#cim = undefined;
  }
}

it("readers on leaf and hub, and one that moves between them, get each event once under load, cuts and kill -9", async () => {
  await using fleet = await Fleet.start({ leaves: 1 });
  const leaf = fleet.leaf("leaf1");
  const loads = await Promise.all(
    fleet.nodes.map((node) => new Load(node, { ledger: fleet.ledger, ratePerS: 150 }).start()),
  );
  for (const load of loads) fleet.use(load);
  const readers = {
    hub: fleet.use(await new FollowingReader().on(fleet.hub.natsUrl)),
    leaf: fleet.use(await new FollowingReader().on(leaf.natsUrl)),
    moving: fleet.use(await new FollowingReader().on(leaf.natsUrl)),
  };
  const more = async (count: number) => {
    const before = loads.map((load) => load.acknowledged);
    await eventually(() => loads.every((load, i) => load.acknowledged >= (before[i] as number) + count), {
      timeoutMs: 90_000,
      what: "writers at work",
    });
  };
  await more(100);
  await fleet.lab.link("leaf1").set({ state: "down" });
  await more(100);
  // With events read ahead that the hub does not have yet.
  await readers.moving.on(fleet.hub.natsUrl);
  await fleet.lab.link("leaf1").set({ state: "up" });
  await more(60);
  await leaf.kill("nats");
  await leaf.start();
  await more(60);
  await readers.moving.on(leaf.natsUrl);
  await more(60);
  await Promise.all(loads.map((load) => load.stop()));
  const { log } = await fleet.settled();
  const expected = log.messages.flatMap(({ origin, id }) => (origin ? [id] : [])).toSorted();
  for (const [name, reader] of Object.entries(readers)) {
    await eventually(() => reader.ids.length >= expected.length, {
      timeoutMs: 90_000,
      what: `${expected.length} events at ${name}, which has ${reader.ids.length}`,
    });
    expect(reader.ids.toSorted(), name).toEqual(expected);
    for (const seqs of reader.seqs.values()) expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  }
});
