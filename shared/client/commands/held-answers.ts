import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { type HeldCommands, heldQuestionSubject } from "../../protocol/held-commands.ts";

/** Some 600 KB; who has more says so. */
const MOST_TOLD = 10_000;

const byConnection = new WeakMap<NatsConnection, HeldAnswers>();

/** Tells, of all handlers on a connection, which commands they have under way: asked when another program has ended. */
export class HeldAnswers {
  readonly #nc: NatsConnection;
  readonly #held = new Map<Msg, number>();
  readonly #subscription: Subscription;
  #users = 0;

  /** Each user ends it with `leave`. To be called before any command is subscribed to: who handles them must answer. */
  static join(nc: NatsConnection, node: string): HeldAnswers {
    let answers = byConnection.get(nc);
    if (answers === undefined) {
      answers = new HeldAnswers(nc, node);
      byConnection.set(nc, answers);
    }
    answers.#users += 1;
    return answers;
  }

  private constructor(nc: NatsConnection, node: string) {
    this.#nc = nc;
    this.#subscription = nc.subscribe(heldQuestionSubject(node), {
      callback: (error, message) => {
        if (!error && message.reply) message.respond(JSON.stringify(this.#answer()));
      },
    });
  }

  leave(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    byConnection.delete(this.#nc);
    this.#subscription.unsubscribe();
  }

  take(message: Msg): void {
    this.#held.set(message, this.#program());
  }

  /** To be called in the moment of the answer: who asks later must not be told of it. */
  end(message: Msg): void {
    this.#held.delete(message);
  }

  #answer(): HeldCommands {
    const program = this.#program();
    // What came over a connection that is gone can't be answered any more: the right to was that connection's.
    const held = [...this.#held]
      .filter(([{ reply }, by]) => by === program && reply)
      .map(([m]) => m.reply ?? "");
    return { program, held: held.slice(0, MOST_TOLD), more: held.length > MOST_TOLD };
  }

  /** Another one after each reconnect. */
  #program(): number {
    return this.#nc.info?.client_id ?? 0;
  }
}
