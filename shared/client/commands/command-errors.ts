/** The command was not done: no leaf fits, nobody routes commands now, or it was no command. */
export class CommandRefused extends Error {
  override readonly name = "CommandRefused";
  /**
   * `no-nodes`, `no-capability`, `not-subscribed`, `no-handler`, `not-up`, `lagging`: what left the last leaves out.
   * `bad-request`: what was asked for is none. `no-coordinator`: nobody routes, or there is no way to the hub now.
   */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Nobody can say whether the command was done. Send it again with the same `id`: who has done it answers from memory. */
export class CommandUnanswered extends Error {
  override readonly name = "CommandUnanswered";
  /**
   * `node-gone`: the leaf that had it went away. `handler-gone`: the program there that had it ended. `timeout`: no answer in
   * time. `cancelled`: the caller's signal.
   */
  readonly code: "node-gone" | "handler-gone" | "timeout" | "cancelled";
  readonly id: string;
  /** The leaf that had it, where that is known. */
  readonly node: string | undefined;

  constructor(
    code: CommandUnanswered["code"],
    message: string,
    about: { readonly id: string; readonly node?: string | undefined },
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.id = about.id;
    this.node = about.node;
  }
}

/** The handler threw: the command reached a program, and failed there. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  /** Where. */
  readonly node: string | undefined;

  constructor(message: string, node: string | undefined) {
    super(message);
    this.node = node;
  }
}

/** Of an answer with `Cim-Error` by a handler of this library. */
export const HANDLER_FAILED = "handler-failed";
