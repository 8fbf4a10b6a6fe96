import { OwnNode } from "../agent/own-node.ts";
import type { Config } from "../shared/config/index.ts";
import type { DaemonFrame } from "../shared/daemon/daemon-frame.ts";

/** Ships the hub's own outbox, on whichever coordinator leads: two would speak under one name. */
export class OwnOutbox {
  readonly #frame: DaemonFrame;
  #config: Config;
  #own: OwnNode | undefined;
  #turn: Promise<void> = Promise.resolve();

  /** @param frame connected before the first `ship` */
  constructor(frame: DaemonFrame, config: Config) {
    this.#frame = frame;
    this.#config = config;
  }

  /** Begins or ends it, when what was wanted before is done. */
  ship(wanted: boolean): Promise<void> {
    const { server, conditions, metrics, log } = this.#frame;
    this.#turn = this.#turn
      .then(async () => {
        if (wanted === (this.#own !== undefined)) return;
        const before = this.#own;
        this.#own = undefined;
        await before?.[Symbol.asyncDispose]();
        if (!wanted) return;
        this.#own = new OwnNode({
          nc: server.nc,
          config: this.#config,
          conditions,
          metrics,
          log,
          contractsHash: () => server.contractsHash,
        });
        this.#own.start();
      })
      .catch((error: unknown) => log.error({ err: error }, "the hub's own outbox is not shipped"));
    return this.#turn;
  }

  /** Takes over what can be changed while it runs. */
  reconfigure(config: Config): void {
    this.#config = config;
    this.#own?.reconfigure(config);
  }

  /** The hub's own server is there, or not. */
  onServer(up: boolean): void {
    if (up) this.#own?.uplink.linkUp();
    else this.#own?.uplink.linkDown();
  }
}
