import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorText } from "../../shared/protocol/error-text.ts";
import { Ledger } from "../support/ledger.ts";
import { checkFleet, type Verdict } from "./check.ts";
import { describeFault, type Fault, type FaultKind, type Schedule } from "./fault.ts";
import { MergedReader } from "./merged-reader.ts";
import type { FaultReader } from "./reader.ts";
import { lastHealMs, resourceOf } from "./schedule.ts";
import type { FaultTarget } from "./target.ts";
import { type Stall, Writer } from "./writer.ts";

export interface RunOptions {
  readonly target: FaultTarget;
  readonly schedule: Schedule;
  /** How many events all writers together get acknowledged. */
  readonly events: number;
  /** Where ledgers and the journal of faults go; it is there. */
  readonly dir: string;
  /** Default: the merged reader. */
  readonly readerOf?: (node: FaultTarget["nodes"][number], path: string) => FaultReader;
  readonly onProgress?: (progress: Progress) => void;
  readonly onLine?: (line: string) => void;
  /** Aborted: no more faults; what is broken is mended, and judged. */
  readonly signal?: AbortSignal;
  /** What a fleet is given to have every event everywhere, after the last fault is mended. Default 90,000. */
  readonly convergeTimeoutMs?: number;
  /** How long a writer waits for an answer. Default 2,500: shorter than most of what is done to its server. */
  readonly appendTimeoutMs?: number;
}

export interface Progress {
  readonly phase: "faults" | "writing" | "converging" | "checking";
  readonly elapsedMs: number;
  readonly faults: number;
  readonly acknowledged: number;
}

export interface Report {
  readonly ok: boolean;
  readonly seed: number | null;
  readonly interrupted: boolean;
  readonly faults: {
    readonly planned: number;
    readonly done: number;
    readonly byKind: Readonly<Partial<Record<FaultKind, number>>>;
    /** Passed over: what can't be done here, and why. */
    readonly skipped: readonly { readonly kind: FaultKind; readonly count: number; readonly why: string }[];
    /** How far the schedule fell behind at most. */
    readonly lateMs: number;
  };
  readonly acknowledged: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, { readonly count: number; readonly first: string }>>;
  readonly appendMs: { readonly p50: number; readonly p99: number; readonly worst: Stall | null };
  readonly durationMs: number;
  /** From the last fault's end, or the last acknowledgement, to every reader having every event; null: not in time. */
  readonly convergedMs: number | null;
  /** What went wrong besides: a process that ended by itself, or did not come back. */
  readonly troubles: readonly string[];
  readonly verdict: Verdict;
}

const progressEveryMs = 500;
/** After the last fault every writer must get its answers within this. */
const writersTimeoutMs = 60_000;
/** What a writer or reader is given to end. */
const endTimeoutMs = 60_000;

/** Runs a schedule against a fleet that is written to and read on every node, then judges what the fleet has. */
export async function runFaults(options: RunOptions): Promise<Report> {
  const { target, schedule, dir, signal, events } = options;
  await writeFile(join(dir, "schedule.json"), `${JSON.stringify(schedule, null, 1)}\n`);
  const startedMs = performance.now();
  const elapsedMs = () => performance.now() - startedMs;
  await using open = new AsyncDisposableStack();
  const share = Math.ceil(events / target.nodes.length);
  const plannedS = Math.max(lastHealMs(schedule), 1000) / 1000;
  const ledgers: Ledger[] = [];
  const writers: Writer[] = [];
  const readers: FaultReader[] = [];
  for (const [at, node] of target.nodes.entries()) {
    const ledger = open.use(await Ledger.open(join(dir, `writer-${node.name}.jsonl`)));
    ledgers.push(ledger);
    const seed = (schedule.seed ?? 0) * 100 + at;
    const timeoutMs = options.appendTimeoutMs;
    writers.push(
      new Writer({
        node,
        ledger,
        seed,
        count: share,
        ratePerS: share / plannedS,
        ...(timeoutMs !== undefined && { timeoutMs }),
      }),
    );
    const path = join(dir, `reader-${node.name}.jsonl`);
    await writeFile(path, "");
    readers.push(
      (options.readerOf ?? ((of, file) => new MergedReader(of, file, options.onLine)))(node, path),
    );
  }
  const programs = [...writers, ...readers];
  for (const program of programs) open.defer(async () => void (await endOf(program)));
  await Promise.all(programs.map((program) => program.start()));

  const acknowledged = () => writers.reduce((sum, writer) => sum + writer.acknowledged, 0);
  let phase: Progress["phase"] = "faults";
  const run = new ScheduleRun(options, readers, elapsedMs);
  const progress = setInterval(() => {
    options.onProgress?.({ phase, elapsedMs: elapsedMs(), faults: run.done, acknowledged: acknowledged() });
  }, progressEveryMs);
  open.defer(() => clearInterval(progress));

  await run.all();
  phase = "writing";
  if (signal?.aborted) for (const writer of writers) writer.stop();
  const troubles = run.troubles;
  const written = Promise.all(writers.map((writer) => writer.finished()));
  // At what rate the rest is written is the machine's matter; that it goes on is ours.
  for (let last = -1, lastMs = elapsedMs(); !(await settledWithin(written, 500)); ) {
    if (acknowledged() !== last) [last, lastMs] = [acknowledged(), elapsedMs()];
    if (signal?.aborted) for (const writer of writers) writer.stop();
    if (elapsedMs() - lastMs < writersTimeoutMs) continue;
    troubles.push(`nothing was acknowledged for ${writersTimeoutMs / 1000} s after the last fault`);
    break;
  }
  const healedMs = elapsedMs();
  phase = "converging";
  const total = acknowledged();
  const everywhere = () => readers.every(({ handled }) => handled >= total);
  const deadlineMs = healedMs + (options.convergeTimeoutMs ?? 90_000);
  while (!everywhere() && elapsedMs() < deadlineMs) await sleep(20);
  const convergedMs = everywhere() ? Math.round(elapsedMs() - healedMs) : null;
  if (convergedMs === null) {
    const behind = readers.map(({ node, handled }) => `${node} ${handled}`).join(", ");
    troubles.push(`not every event came everywhere in time: ${total} acknowledged, readers have ${behind}`);
  }
  for (const trouble of await Promise.all(programs.map(endOf))) if (trouble) troubles.push(trouble);
  troubles.push(...target.troubles());
  phase = "checking";
  const verdict = await checkFleet({
    nodes: target.nodes,
    ledgers: ledgers.map(({ path }) => path),
    readers: new Map(readers.map(({ node }) => [node, join(dir, `reader-${node}.jsonl`)])),
  });
  const durationMs = Math.round(elapsedMs());
  return {
    ok: verdict.ok && troubles.length === 0,
    seed: schedule.seed,
    interrupted: signal?.aborted ?? false,
    faults: run.summary(),
    acknowledged: Object.fromEntries(writers.map(({ node, acknowledged }) => [node, acknowledged])),
    errors: errorsOf(writers),
    appendMs: appendTimes(writers),
    durationMs,
    convergedMs,
    troubles,
    verdict,
  };
}

/** Does each fault at its time, or as soon as the one before it on the same link or node is over. */
class ScheduleRun {
  readonly troubles: string[] = [];
  readonly #options: RunOptions;
  readonly #readers: readonly FaultReader[];
  readonly #elapsedMs: () => number;
  readonly #turns = new Map<string, Promise<void>>();
  readonly #done: Fault[] = [];
  readonly #skipped: Fault[] = [];
  #lateMs = 0;

  constructor(options: RunOptions, readers: readonly FaultReader[], elapsedMs: () => number) {
    this.#options = options;
    this.#readers = readers;
    this.#elapsedMs = elapsedMs;
  }

  get done(): number {
    return this.#done.length;
  }

  /** Resolves when the last one is mended. */
  async all(): Promise<void> {
    const { schedule, target, signal } = this.#options;
    for (const fault of schedule.faults) {
      if (target.cannot.has(fault.kind)) {
        this.#skipped.push(fault);
        continue;
      }
      await this.#until(fault.atMs);
      if (signal?.aborted) break;
      const resource = resourceOf(fault.kind, fault.node);
      const turn = (this.#turns.get(resource) ?? Promise.resolve()).then(() => this.#one(fault));
      this.#turns.set(resource, turn);
    }
    await Promise.all(this.#turns.values());
  }

  summary(): Report["faults"] {
    const { schedule, target } = this.#options;
    const skipped = new Map<FaultKind, number>();
    for (const { kind } of this.#skipped) skipped.set(kind, (skipped.get(kind) ?? 0) + 1);
    return {
      planned: schedule.faults.length,
      done: this.done,
      byKind: Object.fromEntries(
        [...Map.groupBy(this.#done, ({ kind }) => kind)].map(([kind, faults]) => [kind, faults.length]),
      ),
      skipped: [...skipped].map(([kind, count]) => ({ kind, count, why: target.cannot.get(kind) ?? "" })),
      lateMs: Math.round(this.#lateMs),
    };
  }

  async #one(fault: Fault): Promise<void> {
    const { target, signal, onLine, dir } = this.#options;
    if (signal?.aborted) return;
    const beganMs = this.#elapsedMs();
    this.#lateMs = Math.max(this.#lateMs, beganMs - fault.atMs);
    onLine?.(describeFault(fault));
    let trouble: string | undefined;
    const reader = fault.kind === "reader" && this.#readers.find(({ node }) => node === fault.node);
    try {
      await (reader ? reader.stop() : target.begin(fault));
      await this.#until(this.#elapsedMs() + fault.forMs);
    } catch (error) {
      trouble = `fault ${fault.n} could not begin: ${errorText(error)}`;
    }
    try {
      await (reader ? reader.start() : target.end(fault));
      this.#done.push(fault);
    } catch (error) {
      trouble = `fault ${fault.n} was not mended: ${errorText(error)}`;
    }
    const troubles = [...(trouble === undefined ? [] : [trouble]), ...target.troubles()];
    for (const line of troubles) onLine?.(line);
    this.troubles.push(...troubles);
    const line = { ...fault, began: Math.round(beganMs), mended: Math.round(this.#elapsedMs()), troubles };
    await appendFile(join(dir, "faults.jsonl"), `${JSON.stringify(line)}\n`);
  }

  async #until(atMs: number): Promise<void> {
    const { signal } = this.#options;
    const waitMs = atMs - this.#elapsedMs();
    if (waitMs > 0) await sleep(waitMs, undefined, signal ? { signal } : {}).catch(() => {});
  }
}

/** Ends a program of the run; gives what is wrong if it does not end. */
async function endOf(program: Writer | FaultReader): Promise<string | undefined> {
  if (await settledWithin(program[Symbol.asyncDispose](), endTimeoutMs)) return undefined;
  const what = program instanceof Writer ? "writer" : "reader";
  return `the ${what} on ${program.node} did not end within ${endTimeoutMs / 1000} s`;
}

async function settledWithin(work: PromiseLike<unknown>, ms: number): Promise<boolean> {
  return await Promise.race([work.then(() => true), sleep(ms, false)]);
}

function errorsOf(writers: readonly Writer[]): Report["errors"] {
  const all: Record<string, { count: number; first: string }> = {};
  for (const { errors } of writers) {
    for (const [name, { count, first }] of errors)
      all[name] = { first: all[name]?.first ?? first, count: (all[name]?.count ?? 0) + count };
  }
  return all;
}

function appendTimes(writers: readonly Writer[]): Report["appendMs"] {
  const sorted = Float64Array.from(writers.flatMap(({ latenciesMs }) => latenciesMs)).sort();
  const at = (share: number) => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 10) / 10;
  const worst = writers
    .flatMap(({ worst }) => worst ?? [])
    .reduce<Stall | null>((most, one) => (one.ms > (most?.ms ?? 0) ? one : most), null);
  return {
    p50: at(0.5),
    p99: at(0.99),
    worst: worst && { ...worst, ms: Math.round(worst.ms), atMs: Math.round(worst.atMs) },
  };
}
