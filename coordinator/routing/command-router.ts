import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { EncodedHeaders, headerTextOf } from "../../shared/nats/raw-message.ts";
import type { Log } from "../../shared/observe/log.ts";
import {
  answerSubject,
  COMMAND_HEADER,
  COMMAND_SUBJECT,
  type RouteAnswer,
  routedCommandSubject,
} from "../../shared/protocol/commands.ts";
import { headerLine } from "../../shared/protocol/headers.ts";
import { doneAt, PROGRAMS_ENDED } from "../../shared/protocol/held-commands.ts";
import { type Attempt, nextStep } from "./attempt.ts";
import { CallerAnswers } from "./caller-answers.ts";
import { ChangeNotice } from "./change-notice.ts";
import type { RefusalReason } from "./decide.ts";
import { type Flight, Flights, isWithinLeaf, type RoutedCommand } from "./flights.ts";
import { lostWithPrograms } from "./lost-with-programs.ts";
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
  /** Whether all programs there that handle the command say which commands they have, and when they are done. */
  readonly tells: (node: string, domain: string, command: string) => boolean;
  readonly onChosen: () => void;
  readonly onRefused: (reason: RefusalReason | "bad-request" | "node-gone" | "handler-gone") => void;
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
  readonly #callers: CallerAnswers;
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
    this.#callers = new CallerAnswers(init);
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
      hear(COMMAND_SUBJECT.asked, (message) => {
        const leaf = doneAt(message.subject);
        if (leaf !== undefined) this.#done(leaf, message.string());
        else this.#gate.pass(() => this.#asked(message));
      }),
      hear(PROGRAMS_ENDED, ({ subject }) => void this.#programEnded(subject.split(".")[2] ?? "")),
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
    // What a leaf was asked by its own programs it answers all the same.
    this.#giveUp(
      this.#flights.endAt(node).filter((flight) => !isWithinLeaf(flight)),
      "node-gone",
      `${node} went away with`,
    );
    this.#countAt(node);
    if (this.#subscriptions.length > 0) this.#notice.gone(node);
  }

  /** A program on a leaf ended. What nobody there has any more was with it. */
  async #programEnded(node: string): Promise<void> {
    this.#notice.ended(node);
    const lost = await lostWithPrograms(this.#init.nc, node, () => this.#flights.at(node));
    // Meanwhile one may have been answered, or given up as its leaf went.
    const still = lost.filter((flight) => this.#flights.get(flight.key) === flight);
    for (const { key } of still) this.#flights.end(key);
    this.#giveUp(still, "handler-gone", `the program on ${node} ended that had`);
    this.#countAt(node);
  }

  #giveUp(flights: readonly Flight[], code: "node-gone" | "handler-gone", what: string): void {
    for (const { command, attempt, node } of flights) {
      if (command.mayRepeat && this.#send(command, attempt, false)) continue;
      this.#callers.refuse(command, {
        code,
        message: `${what} ${command.domain}.${command.command}; whether it was done is not known`,
        node,
        outcome: "unknown",
      });
      this.#init.onRefused(code);
    }
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
      this.#callers.refuse(command, {
        code,
        message: refusalWords(code, request, view),
        outcome: "not-done",
      });
      return;
    }
    const answer: RouteAnswer = {
      nodes: best.map(({ node }) => node.name),
      callerIsHub: command.caller === hub,
    };
    this.#callers.tell(command, JSON.stringify(answer));
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
    this.#callers.refuse(read, { code: "bad-request", message: read.problem, outcome: "not-done" });
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
    this.#callers.refuse(command, {
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
      this.#forwardWithin(node, subject, { ...command, inbox }, attempt);
    } else {
      const reply = answerSubject(node, caller, inbox);
      this.#begin({ key: `${caller}.${inbox}`, node, sentMs: performance.now(), command, attempt, reply });
      nc.publish(subject, body, { ...options, reply });
    }
  }

  /** A server sends nothing back over the link that it came by: such an answer must not leave the leaf. */
  #forwardWithin(
    node: string,
    subject: string,
    command: RoutedCommand & { inbox: string },
    attempt: Attempt,
  ) {
    const { nc, tells } = this.#init;
    const { inbox, body } = command;
    const key = `${node}.${inbox}`;
    let { headerText } = command;
    // Of a plain client nobody would tell that it is done: it is not counted.
    if (tells(node, command.domain, command.command)) {
      headerText += headerLine(COMMAND_HEADER.counted, "1");
      this.#begin({ key, node, sentMs: performance.now(), command, attempt, reply: inbox });
    }
    const unheard = nc.subscribe(inbox, {
      callback: (error, { headers }) => {
        if (error || headers?.code !== NO_RESPONDERS) return;
        this.#end(key);
        this.#send(command, attempt, true);
      },
    });
    const headers = headerText === "" ? {} : { headers: new EncodedHeaders(headerText) };
    nc.publish(subject, body, { ...headers, reply: inbox });
    void nc
      .flush()
      .catch(() => {})
      .finally(() => unheard.unsubscribe());
  }

  /** A handler answered a command of its own leaf. */
  #done(leaf: string, inbox: string): void {
    const key = `${leaf}.${inbox}`;
    if (this.#flights.get(key)?.node === leaf) this.#end(key);
  }

  #begin(flight: Flight): void {
    this.#flights.add(flight);
    this.#countAt(flight.node);
  }

  #end(key: string): Flight | undefined {
    const flight = this.#flights.end(key);
    if (flight !== undefined) this.#countAt(flight.node);
    return flight;
  }

  /** `cim.node.<caller>.answered.<inbox>` */
  #answered(message: Msg): void {
    const { hub, nc } = this.#init;
    const { subject, data } = message;
    const end = subject.indexOf(".", "cim.node.".length);
    const caller = subject.slice("cim.node.".length, end);
    const inbox = subject.slice(end + ".answered.".length);
    const flight = this.#end(`${caller}.${inbox}`);
    if (flight === undefined) return;
    if (caller !== hub) return;
    // A server maps a subject once, and the hub's has done so: what is for its own programs is handed on here.
    const headerText = headerTextOf(message);
    nc.publish(inbox, data, headerText === "" ? {} : { headers: new EncodedHeaders(headerText) });
  }

  /** `cim.node.<node>.answer.<caller>.<inbox>`, from the hub's server itself: nobody there listens. */
  #unheard({ subject, headers }: Msg): void {
    if (headers?.code !== NO_RESPONDERS) return;
    const flight = this.#end(subject.split(".").slice(4).join("."));
    if (flight === undefined) return;
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
}
