import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { Lab, type LabOptions } from "../../lab/lab.ts";
import type { LabNode } from "../../lab/lab-node.ts";
import { type CopyEvidence, type Evidence, judge } from "./checker.ts";
import { readStream } from "./checker-read.ts";
import { eventually } from "./eventually.ts";
import type { Allowances } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { type LoadOptions, writeEvents } from "./load.ts";
import { tempDir } from "./temp-dir.ts";

/** A condition as a node's metrics or its hub tell of it. */
export interface ToldCondition {
  readonly code: string;
  readonly text?: string;
  readonly detail?: string;
  /** The node it is of; absent for the hub's own. */
  readonly node?: string;
}

export interface JudgeOptions extends Allowances {
  /** Copies that are not of everything, or were filled in later. */
  readonly copies?: Readonly<Record<string, Omit<CopyEvidence, "stream"> | null>>;
  /** Nodes whose outbox is not looked at. */
  readonly withoutOutbox?: readonly string[];
  readonly timeoutMs?: number;
}

/** What a server and its daemons have on the disk, set aside. */
export interface StoreSnapshot {
  readonly path: string;
}

type StreamName = "CIM_OUTBOX" | "CIM_EVENTS" | "CIM_REFUSED" | "KV_CIM_CONTROL" | "KV_CIM_STATE";

/** A lab with a ledger of what its writers were told, and a judge. Everything goes with it. */
export class Fleet implements AsyncDisposable {
  readonly lab: Lab;
  readonly ledger: Ledger;
  readonly dir: string;
  readonly #open: AsyncDisposable[];
  #snapshots = 0;

  private constructor(lab: Lab, ledger: Ledger, dir: string, open: AsyncDisposable[]) {
    this.lab = lab;
    this.ledger = ledger;
    this.dir = dir;
    this.#open = open;
  }

  static async start(options: Omit<LabOptions, "dir"> & { readonly dir?: string } = {}): Promise<Fleet> {
    const dir = await tempDir("cim-faults-");
    const open: AsyncDisposable[] = [dir];
    try {
      const lab = await Lab.up({ leaves: 2, ...options, dir: options.dir ?? join(dir.path, "lab") });
      open.push(lab);
      const ledger = await Ledger.open(join(dir.path, "ledger.jsonl"));
      open.push(ledger);
      return new Fleet(lab, ledger, dir.path, open);
    } catch (error) {
      for (const one of open.toReversed()) await one[Symbol.asyncDispose]();
      throw error;
    }
  }

  get hub(): LabNode {
    return this.lab.hub;
  }

  get nodes(): LabNode[] {
    return [this.lab.hub, ...this.lab.leaves];
  }

  leaf(name: string): LabNode {
    return this.lab.leaf(name);
  }

  /** Disposed with the fleet, before it. */
  use<T extends AsyncDisposable>(disposable: T): T {
    this.#open.push(disposable);
    return disposable;
  }

  /** Writes events at a node, as fast as it takes them. */
  async write(
    node: LabNode,
    count: number,
    options: Omit<LoadOptions, "count" | "ledger"> = {},
  ): Promise<void> {
    await writeEvents(node, count, { ...options, ledger: this.ledger });
  }

  /** Reads everything there is. */
  async evidence(options: JudgeOptions = {}): Promise<Evidence> {
    const outboxes = new Map<string, Awaited<ReturnType<typeof readStream>>>();
    const copies = new Map<string, CopyEvidence>();
    const log = await readStream(this.hub.natsUrl, "CIM_EVENTS");
    for (const { name, natsUrl } of this.nodes) {
      if (!options.withoutOutbox?.includes(name)) outboxes.set(name, await readStream(natsUrl, "CIM_OUTBOX"));
    }
    for (const { name, natsUrl } of this.lab.leaves) {
      const copy = options.copies?.[name];
      if (copy === null) continue;
      const stream = await readStream(natsUrl, "CIM_EVENTS");
      copies.set(name, { domains: ["*"], ...copy, stream });
    }
    return { acknowledged: await this.ledger.entries(), log, outboxes, copies };
  }

  /** Waits until the judge finds nothing; fails with what it finds. Gives what it looked at. */
  async settled(options: JudgeOptions = {}): Promise<Evidence> {
    return await eventually(
      async () => {
        const evidence = await this.evidence(options);
        const faults = judge(evidence, options);
        if (faults.length > 0) throw new Error(`\n${faults.join("\n")}`);
        return evidence;
      },
      { timeoutMs: options.timeoutMs ?? 120_000, everyMs: 200, what: "a fleet without fault" },
    );
  }

  /** What holds at a node by its own metrics: codes alone. */
  async conditionsOf(node: LabNode): Promise<string[]> {
    const metrics = await this.metrics(node);
    return [...metrics.matchAll(/^cim_condition\{code="([^"]+)"[^}]*\} 1$/gm)].map(
      ([, code]) => code as string,
    );
  }

  async metrics(node: LabNode): Promise<string> {
    return await (await fetch(`${node.httpUrl}/metrics`, { signal: AbortSignal.timeout(20_000) })).text();
  }

  /** The sum of a metric's samples whose labels contain all of these. */
  async metric(node: LabNode, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    let sum = 0;
    for (const line of (await this.metrics(node)).split("\n")) {
      const [, found, text = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (found === name && wanted.every((label) => text.split(",").includes(label))) sum += Number(value);
    }
    return sum;
  }

  /** What the hub tells of itself and all nodes. */
  async status(node: LabNode = this.hub) {
    const reply = await fetch(`${node.httpUrl}/api/v1/status`, { signal: AbortSignal.timeout(20_000) });
    return (await reply.json()) as {
      leads: boolean;
      holder: string | null;
      reign: string | null;
      log: { index: number; events: number; refused: number };
      conditions: ToldCondition[];
    };
  }

  /** Waits until the hub tells of a condition (of a node). */
  async told(code: string, node?: string, timeoutMs = 90_000): Promise<ToldCondition> {
    return await eventually(
      async () => {
        const { conditions } = await this.status();
        const found = conditions.find((one) => one.code === code && (!node || one.node === node));
        if (!found) throw new Error(`the hub tells of ${JSON.stringify(conditions)}`);
        return found;
      },
      { timeoutMs, everyMs: 50, what: `the condition ${code}${node ? ` of ${node}` : ""}` },
    );
  }

  /** Copies a node's whole store, or one stream of it. Its server must not run. */
  async snapshot(node: LabNode, stream?: StreamName): Promise<StoreSnapshot> {
    const path = join(this.dir, `snapshot-${++this.#snapshots}`);
    await cp(stream ? streamFolder(node, stream) : node.paths.store, path, { recursive: true });
    return { path };
  }

  /** Puts a snapshot in the place of what is there. Its server must not run. */
  async restore(node: LabNode, snapshot: StoreSnapshot, stream?: StreamName): Promise<void> {
    const place = stream ? streamFolder(node, stream) : node.paths.store;
    await rm(place, { recursive: true, force: true });
    await cp(snapshot.path, place, { recursive: true });
  }

  /** Deletes a stream from the disk. Its server must not run. */
  async deleteStream(node: LabNode, stream: StreamName): Promise<void> {
    await rm(streamFolder(node, stream), { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#open.splice(0).toReversed()) await one[Symbol.asyncDispose]();
  }
}

function streamFolder(node: LabNode, stream: StreamName): string {
  return join(node.paths.store, "jetstream", "CIM", "streams", stream);
}
