import type { Random } from "./random.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";
import type { SimLeaf } from "./sim-leaf.ts";
import type { SimStream, StreamSnapshot } from "./sim-stream.ts";
import { uidOf } from "./uid.ts";
import type { World } from "./world.ts";

export const DISASTERS = [
  "cut-link",
  "kill-agent",
  "kill-coordinator",
  "pause-coordinator",
  "change-leader",
  "restart-hub-server",
  "restart-leaf-server",
  "restore-log",
  "restore-outbox",
  "recreate-outbox",
  "delete-copy",
  "restore-copy",
  "delete-event",
  "purge-log",
  "foreign-messages",
] as const;
export type Disaster = (typeof DISASTERS)[number];

/**
 * What a purged log is not asked to stand: it knows no more which of an outbox's events it had when the one at the mark is
 * not there to say that it is the same, and a log that is put back has what was purged since.
 */
export const BESIDE_A_PURGE: ReadonlySet<Disaster> = new Set([
  "restore-log",
  "restore-outbox",
  "recreate-outbox",
  "delete-event",
]);

interface Backups {
  readonly log: StreamSnapshot[];
  readonly outboxes: Map<SimLeaf, (StreamSnapshot & { newestUid: number })[]>;
  readonly copies: Map<SimLeaf, StreamSnapshot[]>;
}

/** What goes wrong in a run beside the weather, and the backups that are put back. */
export class Disasters {
  readonly #world: World;
  readonly #backups: Backups;

  constructor(world: World) {
    this.#world = world;
    const empty = { messages: [], lastSeq: 0 };
    this.#backups = {
      log: [empty],
      outboxes: new Map(world.leaves.map((leaf) => [leaf, []])),
      copies: new Map(world.leaves.map((leaf) => [leaf, []])),
    };
  }

  backUp(): void {
    const { env, leaves } = this.#world;
    if (env.random.chance(0.5)) this.#backups.log.push(env.log.snapshot());
    for (const leaf of leaves) {
      if (env.random.chance(0.5)) this.backUpOutbox(leaf);
      if (env.random.chance(0.5)) this.#backups.copies.get(leaf)?.push(leaf.copy.snapshot());
    }
  }

  backUpOutbox(leaf: SimLeaf): void {
    this.#backups.outboxes.get(leaf)?.push({ ...leaf.outbox.snapshot(), newestUid: leaf.newestUid });
  }

  strike(disaster: Disaster): void {
    const { env, leaves, coordinators } = this.#world;
    const { random, scheduler } = env;
    const leaf = random.pick(leaves);
    const coordinator = random.pick(coordinators);
    env.trace(() => `--- ${disaster} (${leaf.name}, ${coordinator.name})`);
    switch (disaster) {
      case "cut-link":
        leaf.cut(random.chance(0.6));
        scheduler.after(random.between(5, 250), () => leaf.mend());
        return;
      case "kill-agent":
        leaf.killAgent();
        scheduler.after(random.between(1, 100), () => leaf.startAgent());
        return;
      case "kill-coordinator":
        coordinator.crash();
        scheduler.after(random.between(1, 100), () => coordinator.lead());
        return;
      case "pause-coordinator":
        this.#pause(coordinator);
        return;
      case "change-leader":
        for (const other of coordinators) if (random.chance(0.5)) this.#give(other);
        return;
      case "restart-hub-server":
        this.#restartHubServer();
        return;
      case "restart-leaf-server":
        leaf.restartServer();
        return;
      case "restore-log":
        this.#restoreLog();
        return;
      case "purge-log":
        this.#world.purgeLog();
        return;
      case "foreign-messages":
        for (let i = random.between(1, 4); i > 0; i--)
          writeForeign(random.pick([env.log, leaf.copy]), random, scheduler.nowMs);
        return;
      default:
        this.#ofDisk(disaster, leaf);
    }
  }

  /** Every link goes down with it and comes back, sooner or later. */
  #restartHubServer(): void {
    const { env, leaves } = this.#world;
    env.hubServerRun += 1;
    for (const leaf of leaves)
      env.scheduler.after(env.random.between(0, 100), () => {
        leaf.cut(true);
        env.scheduler.after(env.random.between(1, 50), () => leaf.mend());
      });
  }

  #pause(coordinator: SimCoordinator): void {
    const { random, scheduler } = this.#world.env;
    coordinator.paused = true;
    const others = this.#world.coordinators.filter((other) => other !== coordinator);
    // The lease runs out meanwhile.
    if (random.chance(0.7)) scheduler.after(random.between(5, 60), () => this.#give(others[0]));
    scheduler.after(random.between(20, 400), () => {
      coordinator.continue();
      // It may find out at once that it lost its lease, or a while later.
      if (random.chance(0.5)) scheduler.after(random.between(0, 100), () => coordinator.stop());
      scheduler.after(150, () => coordinator.lead());
    });
  }

  #give(coordinator: SimCoordinator | undefined): void {
    if (!coordinator) return;
    if (coordinator.wanted) coordinator.stop();
    else coordinator.lead();
  }

  #restoreLog(): void {
    const { env, coordinators } = this.#world;
    env.log.restore(env.random.pick(this.#backups.log));
    this.#restartHubServer();
    this.#world.noteLogRestored();
    // Whoever leads may not notice by itself.
    for (const coordinator of coordinators) {
      if (!env.random.chance(0.4) || coordinator.paused) continue;
      coordinator.stop();
      env.scheduler.after(env.random.between(1, 30), () => coordinator.lead());
    }
  }

  /** A leaf's store is another one, and its server was restarted for it. */
  #ofDisk(disaster: Disaster, leaf: SimLeaf): void {
    const { random } = this.#world.env;
    const outboxes = this.#backups.outboxes.get(leaf) ?? [];
    const copies = this.#backups.copies.get(leaf) ?? [];
    switch (disaster) {
      case "restore-outbox":
        if (outboxes.length === 0) return;
        // What is replaced may be put back later, by whoever finds that it was the wrong backup.
        if (random.chance(0.7)) this.backUpOutbox(leaf);
        leaf.restoreOutbox(random.pick(outboxes));
        break;
      case "recreate-outbox":
        if (random.chance(0.5)) this.backUpOutbox(leaf);
        leaf.restoreOutbox({ messages: [], lastSeq: 0, newestUid: 0 });
        break;
      case "delete-copy":
        leaf.copy.restore({ messages: [], lastSeq: random.chance(0.5) ? 0 : leaf.copy.lastSeq });
        break;
      case "restore-copy":
        if (copies.length === 0) return;
        leaf.copy.restore(random.pick(copies));
        break;
      case "delete-event": {
        const last = leaf.outbox.messages.at(-1);
        if (!last) return;
        const victim = random.chance(0.3) ? last : random.pick(leaf.outbox.messages);
        leaf.outbox.delete(victim.seq);
        // An older disk may bring it back when the log has gone on without it: nothing is promised of it any more.
        this.#world.deletedByHand.add(uidOf(victim) ?? 0);
        this.#world.countDestroyed();
        return;
      }
    }
    this.#world.countDestroyed();
    leaf.restartServer();
    if (random.chance(0.5)) {
      leaf.killAgent();
      this.#world.env.scheduler.after(random.between(1, 30), () => leaf.startAgent());
    }
  }
}

/**
 * An answer that somebody had sent to a subject of the log, or with the headers of an event one that pretends to be of the
 * log. Not one that says exactly what the log's writer would say next: nothing tells that from the writer's own.
 */
function writeForeign(stream: SimStream, random: Random, nowMs: number): void {
  const kind = random.pick(["reign", "marks", "fence.9-evil", "refused", "lane", "anything"]);
  const subject = random.chance(0.5) ? "cim.events.a.x.Happened" : `cim.events._cim.${kind}`;
  const header = random.pick([
    "",
    "Cim-Log: none\r\n",
    "Cim-Origin: leaf1 1 e 999\r\n",
    "Cim-Log: 9-evil.7\r\nCim-Origin: leaf1 1 e 999\r\nCim-Id: x\r\nCim-Time: 1 1\r\n",
  ]);
  // In a copy only the log tells that from what is the log's.
  const headerText =
    stream.lastSeq > 0 && header.startsWith("Cim-Log: 9") && random.chance(0.5) ? "" : header;
  const body = Buffer.from(random.pick(["{}", '{"stream":"CIM_EVENTS","seq":7}', "", "not JSON"]));
  stream.append(subject, headerText, body, nowMs * 1000);
}
