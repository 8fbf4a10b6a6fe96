import type { PlaceRange } from "../../shared/consistency/proof/block-sums.ts";
import type { Conditions } from "../../shared/observe/conditions.ts";
import { type HttpServer, httpError, json } from "../../shared/observe/http-server.ts";
import { isDomain } from "../../shared/protocol/subjects.ts";
import type { Finding } from "./finding.ts";
import { Prover, type ProverInit, type Verified } from "./prover.ts";
import type { ScrubView } from "./scrub-progress.ts";
import { type RunState, VerifyRuns } from "./verify-runs.ts";

/** Below what whoever asks waits for an answer. */
const WAIT_MS = 2000;
const NOT_YET: ScrubView = { since: null, done: null, parts: 0, last: null };

/** A comparison as `/api/v1/verify` tells of it. */
export interface VerifyAnswer extends Omit<RunState, "result"> {
  readonly result: (Verified & { readonly scrub: ScrubView }) | null;
}

/** The proof as a coordinator tells of it: conditions, and an answer to whoever asks. */
export class FleetProof {
  readonly #conditions: Conditions;
  readonly #told = new Set<string>();
  #prover: Prover | undefined;
  #runs: VerifyRuns | undefined;
  #leads = () => false;

  constructor(conditions: Conditions) {
    this.#conditions = conditions;
  }

  /** Begins; what is compared needs a server. */
  start(init: Omit<ProverInit, "onFindings">): void {
    const prover = new Prover({ ...init, onFindings: () => this.#tell(prover) });
    this.#prover = prover;
    this.#leads = () => init.state() !== undefined;
    this.#runs = new VerifyRuns((options, onProgress) => prover.verify(options, onProgress));
    prover.start();
  }

  readonly written: Prover["written"] = (messages, lastSeq) => this.#prover?.written(messages, lastSeq);

  get scrub(): ScrubView {
    return this.#prover?.scrub.view ?? NOT_YET;
  }

  finding(node: string, of: Finding["of"]): Finding | undefined {
    return this.#prover?.finding(node, of);
  }

  /** `GET /api/v1/verify[?domain=D][&deep=true]` begins a comparison or joins it, `?run=N` waits on: it changes nothing. */
  addTo(http: HttpServer): void {
    http.route("GET", "/api/v1/verify", async ({ query }) => {
      const runs = this.#runs;
      if (!runs || !this.#leads())
        return httpError(503, "it does not lead, and only who leads knows the log");
      const domain = query.get("domain") ?? undefined;
      if (domain !== undefined && !isDomain(domain))
        return httpError(
          400,
          `"${domain}" is not a domain; write one word without dots and spaces, as person`,
        );
      const deep = query.get("deep") === "true";
      const asked = query.get("run");
      const options = {
        look: deep ? "content" : "counted",
        deep,
        ...(domain !== undefined && { domain }),
      } as const;
      const run = asked === null ? runs.begin(options) : Number(asked);
      const state = await runs.stateOf(run, WAIT_MS);
      if (!state) return httpError(404, `there is no comparison ${asked ?? run}; ask again without run`);
      const result = state.result && { ...state.result, scrub: this.scrub };
      return json({ ...state, result } satisfies VerifyAnswer);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#prover?.[Symbol.asyncDispose]();
  }

  #tell(prover: Prover): void {
    const now = new Set<string>();
    for (const { node, of, difference } of prover.findings()) {
      if (!difference) continue;
      const subject = `${of} of ${node}`;
      now.add(subject);
      const what = `The ${of} of ${node}`;
      const side = difference.side === "log" ? "; it is the log that lost something" : "";
      this.#conditions.raise("diverged", { what, where: whereWords(of, difference.ranges), side }, subject);
    }
    for (const subject of this.#told) if (!now.has(subject)) this.#conditions.clear("diverged", subject);
    this.#told.clear();
    for (const subject of now) this.#told.add(subject);
  }
}

/** ` at the log's indexes 4097 to 8192 and 2 more places`. */
function whereWords(of: Finding["of"], ranges: readonly PlaceRange[]): string {
  const [first, ...more] = ranges;
  if (!first) return "";
  const rest = more.length === 0 ? "" : ` and ${more.length} more ${more.length === 1 ? "range" : "ranges"}`;
  return ` at ${of === "copy" ? "the log's indexes" : "its sequences"} ${first.from} to ${first.to}${rest}`;
}
