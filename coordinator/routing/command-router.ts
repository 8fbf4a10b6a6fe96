import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { EncodedHeaders, headerTextOf } from "../../shared/nats/raw-message.ts";
import type { Log } from "../../shared/observe/log.ts";
import {
  answeredSubject,
  answerSubject,
  COMMAND_HEADER,
  COMMAND_SUBJECT,
  type CommandError,
  type RouteAnswer,
  routedCommandSubject,
} from "../../shared/protocol/commands.ts";
import { headerLine } from "../../shared/protocol/headers.ts";
import { type Attempt, nextStep } from "./attempt.ts";
import { ChangeNotice } from "./change-notice.ts";
import type { RefusalReason } from "./decide.ts";
import { Flights, type RoutedCommand } from "./flights.ts";
import { PauseGate } from "./pause-gate.ts";
import { type ReadCommand, readCommand } from "./read-command.ts";
import { refusalWords } from "./refusal-words.ts";
import type { RouteAsks } from "./route-ask.ts";
import type { Near, RouteRequest } from "./route-node.ts";
import type { RouteView } from "./route-view.ts";

export interface CommandRouterInit {
  /** The coordinator's connection to the hub's server. */
  readonly nc: NatsConnection;
  /** The hub's name, and where it stands. */
  readonly hub: string;
  readonly here: Near;
  readonly view: RouteView;
  readonly asks: RouteAsks;
  /** After this process stood still: whether it still leads. */
  readonly stillLeads: () => Promise<boolean>;
  readonly onChosen: () => void;
  readonly onRefused: (reason: RefusalReason | "bad-request" | "node-gone") => void;
  readonly log: Log;
}

const MOST_UNDER_WAY = { most: 100_000, mostBytes: 64 * 1024 * 1024 };
/** After that a command counts as not answered any more. */
const FORGOTTEN_MS = 120_000;
const SWEEP_MS = 1_000;
/** So often a second it is tried out whether somebody listens who does not announce it: wrong names must not cost much. */
const MOST_SEEKS_PER_S = 1_000;
const NOBODY: ReadonlySet<string> = new Set();
const NO_RESPONDERS = 503;
/** A route names at most so many leaves that are as good as each other. */
const MOST_ROUTES = 16;

/** Sends each command to a leaf. Its answer goes from there to the caller's node; here it is only heard that it did. */
export class CommandRouter {
  readonly #init: CommandRouterInit;
  readonly #flights = new Flights(MOST_UNDER_WAY);
  readonly #gate: PauseGate;
  readonly #notice: ChangeNotice;
  readonly #turns = new WeakMap<RouteRequest, number>();
  #seeksLeft = MOST_SEEKS_PER_S;
  #subscriptions: Subscription[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(init: CommandRouterInit) {
    this.#init = init;
    this.#gate = new PauseGate(init.stillLeads);
    this.#notice = new ChangeNotice(init.nc);
  }

  /** Commands that are not answered yet. */
  get underWay(): number {
    return this.#flights.size;
  }

  /** Takes commands from now on. While nobody leads nobody listens, and the server tells callers so at once. */
  lead(): void {
    if (this.#subscriptions.length > 0) return;
    const hear = (subject: string, heard: (message: Msg) => void) =>
      this.#init.nc.subscribe(subject, { callback: (error, message) => void (error || heard(message)) });
    this.#subscriptions = [
      hear(COMMAND_SUBJECT.answered, (message) => this.#answered(message)),
      hear(COMMAND_SUBJECT.unheard, (message) => this.#unheard(message)),
      hear(COMMAND_SUBJECT.asked, (message) => this.#gate.pass(() => this.#asked(message))),
      hear(COMMAND_SUBJECT.routeAsked, (message) => this.#gate.pass(() => this.#routeAsked(message))),
    ];
    // Routes that another coordinator gave may be wrong by now.
    this.changed();
    this.#gate.start();
    this.#timer = setInterval(() => {
      this.#seeksLeft = MOST_SEEKS_PER_S;
      const old = this.#flights.endBefore(performance.now() - FORGOTTEN_MS);
      for (const { node } of old) this.#countAt(node);
    }, SWEEP_MS);
    this.#timer.unref();
  }

  /** Leaves commands to another from now on. */
  stop(): void {
    clearInterval(this.#timer);
    this.#gate.stop();
    this.#notice.stop();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#subscriptions = [];
  }

  /** Choices may be others now: who keeps routes is told. */
  changed(): void {
    if (this.#subscriptions.length > 0) this.#notice.changed();
  }

  /** Nothing can come from a leaf any more. Callers are told at once, or another leaf gets what may be done again. */
  lost(node: string): void {
    for (const { command, attempt } of this.#flights.endAt(node)) {
      if (command.mayRepeat && this.#send(command, attempt, false)) continue;
      this.#refuse(command, {
        code: "node-gone",
        message: `${node} went away with ${command.domain}.${command.command}; whether it was done is not known`,
        node,
        outcome: "unknown",
      });
      this.#init.onRefused("node-gone");
    }
    this.#countAt(node);
    if (this.#subscriptions.length > 0) this.#notice.gone(node);
  }

  #asked(message: Msg): void {
    const read = this.#read(message);
    if (read === undefined) return;
    this.#send(read.command, { request: read.request, tried: NOBODY, unannounced: false }, true);
  }

  /** Who could do it, for a program that sends several there itself. */
  #routeAsked(message: Msg): void {
    const { hub, view } = this.#init;
    const read = this.#read(message);
    if (read === undefined) return;
    const { command, request } = read;
    const best = view.best(request).slice(0, MOST_ROUTES);
    if (best.length === 0) {
      const code = view.whyNobody(request) ?? "no-nodes";
      this.#refuse(command, { code, message: refusalWords(code, request, view), outcome: "not-done" });
      return;
    }
    const answer: RouteAnswer = {
      nodes: best.map(({ node }) => node.name),
      callerIsHub: command.caller === hub,
    };
    this.#tell(command, JSON.stringify(answer));
  }

  /** undefined: it is none, and its sender has been told. */
  #read(message: Msg): Extract<ReadCommand, { kind: "command" }> | undefined {
    const { asks, view, here, log, onRefused } = this.#init;
    const read = readCommand(message, asks, (node) => view.get(node)?.node ?? here);
    if (read.kind === "command") return read;
    if (read.kind === "forbidden") {
      log.debug({ subject: message.subject, reply: read.reply }, "a command's answer may not go there");
      return undefined;
    }
    onRefused("bad-request");
    this.#refuse(read, { code: "bad-request", message: read.problem, outcome: "not-done" });
    return undefined;
  }

  /** Sends it to the next leaf. Gives false when there is none; `tell`: the caller is told why. */
  #send(command: RoutedCommand, attempt: Attempt, tell: boolean): boolean {
    const { view, onChosen, onRefused } = this.#init;
    const { request } = attempt;
    const maySeek = command.inbox !== undefined && this.#seeksLeft > 0;
    const step = nextStep(attempt, view, (kind) => this.#turn(kind), maySeek);
    if (step.kind === "send") {
      onChosen();
      if (step.attempt.unannounced) this.#seeksLeft -= 1;
      this.#forward(command, step.node, step.attempt);
      return true;
    }
    const { reason } = step;
    if (!tell) return false;
    onRefused(reason);
    this.#refuse(command, {
      code: reason,
      message: refusalWords(reason, request, view),
      outcome: "not-done",
    });
    return false;
  }

  #forward(command: RoutedCommand, node: string, attempt: Attempt): void {
    const { nc } = this.#init;
    const { caller, inbox, body, headerText } = command;
    const subject = routedCommandSubject(node, command.domain, command.command);
    const options = headerText === "" ? {} : { headers: new EncodedHeaders(headerText) };
    if (inbox === undefined) {
      nc.publish(subject, body, options);
    } else if (node === caller) {
      // A server sends nothing back over the link that it came by: such an answer must not leave the leaf.
      const unheard = nc.subscribe(inbox, {
        callback: (error, { headers }) => {
          if (!error && headers?.code === NO_RESPONDERS) this.#send(command, attempt, true);
        },
      });
      nc.publish(subject, body, { ...options, reply: inbox });
      void nc
        .flush()
        .catch(() => {})
        .finally(() => unheard.unsubscribe());
    } else {
      const key = `${caller}.${inbox}`;
      this.#flights.add({ key, node, sentMs: performance.now(), command, attempt });
      this.#countAt(node);
      nc.publish(subject, body, { ...options, reply: answerSubject(node, caller, inbox) });
    }
  }

  /** `cim.node.<caller>.answered.<inbox>` */
  #answered(message: Msg): void {
    const { hub, nc } = this.#init;
    const { subject, data } = message;
    const end = subject.indexOf(".", "cim.node.".length);
    const caller = subject.slice("cim.node.".length, end);
    const inbox = subject.slice(end + ".answered.".length);
    const flight = this.#flights.end(`${caller}.${inbox}`);
    if (flight === undefined) return;
    this.#countAt(flight.node);
    if (caller !== hub) return;
    // A server maps a subject once, and the hub's has done so: what is for its own programs is handed on here.
    const headerText = headerTextOf(message);
    nc.publish(inbox, data, headerText === "" ? {} : { headers: new EncodedHeaders(headerText) });
  }

  /** `cim.node.<node>.answer.<caller>.<inbox>`, from the hub's server itself: nobody there listens. */
  #unheard({ subject, headers }: Msg): void {
    if (headers?.code !== NO_RESPONDERS) return;
    const flight = this.#flights.end(subject.split(".").slice(4).join("."));
    if (flight === undefined) return;
    this.#countAt(flight.node);
    this.#send(flight.command, flight.attempt, true);
  }

  #turn(request: RouteRequest): number {
    const turn = this.#turns.get(request) ?? 0;
    this.#turns.set(request, turn + 1);
    return turn;
  }

  #countAt(node: string): void {
    this.#init.view.setLoad(node, { inFlight: this.#flights.countAt(node) });
  }

  #refuse(to: Pick<RoutedCommand, "caller" | "inbox">, error: CommandError): void {
    if (to.inbox === undefined) {
      const about = { caller: to.caller, code: error.code };
      this.#init.log.warn(about, `a command was not sent on: ${error.message}`);
      return;
    }
    this.#tell(to, JSON.stringify({ error }), headerLine(COMMAND_HEADER.error, error.code));
  }

  #tell({ caller, inbox }: Pick<RoutedCommand, "caller" | "inbox">, text: string, headerText = ""): void {
    const { nc, hub } = this.#init;
    if (inbox === undefined) return;
    const subject = caller === hub ? inbox : answeredSubject(caller, inbox);
    nc.publish(subject, text, headerText === "" ? {} : { headers: new EncodedHeaders(headerText) });
  }
}
