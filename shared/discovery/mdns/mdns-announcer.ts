import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../observe/log.ts";
import { type AnnouncedNode, announcement, isAskedFor, toldCapabilities } from "./mdns-announcement.ts";
import { MdnsLink, type MdnsPlace } from "./mdns-link.ts";

export interface MdnsAnnouncerInit {
  readonly about: AnnouncedNode;
  /** Name of the service, in `.local`. */
  readonly service: string;
  readonly place: MdnsPlace;
  readonly log: Log;
  /** How long the records count; default 120. */
  readonly ttlS?: number;
}

/** RFC 6762, section 10: for records that name a host. A node that ended without a word is listed for so long. */
const TTL_S = 120;
/** RFC 6762, section 6: many may answer a question, and not all at once; and nothing is said twice in a second. */
const ANSWER_AFTER_MS = { least: 20, most: 120 };
const SAME_AGAIN_AFTER_MS = 1000;
/** A word of goodbye holds up no end. */
const GOODBYE_WITHIN_MS = 500;

/**
 * Announces a node by multicast DNS: twice at its start (RFC 6762, section 8.3), then to those who ask, and takes it back
 * at its end. The name is not fought for, as RFC 6762 has it for names that can be changed: a node keeps its name, and
 * who hears two of one name tells of it.
 */
export class MdnsAnnouncer implements AsyncDisposable {
  readonly #init: MdnsAnnouncerInit;
  readonly #link: MdnsLink;
  #answer: NodeJS.Timeout | undefined;
  #saidMs = Number.NEGATIVE_INFINITY;
  #repeat = false;
  #isEnded = false;

  constructor(init: MdnsAnnouncerInit) {
    this.#init = init;
    this.#link = new MdnsLink({
      place: init.place,
      onPacket: (packet) => {
        if (isAskedFor(packet, this.#records("0.0.0.0"))) this.#sayLater();
      },
      onOpen: () => {
        this.#repeat = true;
        this.#sayLater();
      },
    });
  }

  start(): this {
    const { about, service, log } = this.#init;
    const told = toldCapabilities(about).length;
    if (told < about.capabilities.length) {
      log.warn(
        { told, of: about.capabilities.length },
        "only the first capabilities fit into an announcement",
      );
    }
    log.info({ service }, "announces itself by multicast DNS");
    this.#link.start();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearTimeout(this.#answer);
    const enough = new AbortController();
    await Promise.race([
      this.#link.tell((address) => this.#records(address, 0)),
      sleep(GOODBYE_WITHIN_MS, undefined, { signal: enough.signal }).catch(() => {}),
    ]);
    enough.abort();
    await this.#link[Symbol.asyncDispose]();
  }

  #records(address: string, ttlS = this.#init.ttlS ?? TTL_S) {
    return announcement(this.#init.about, this.#init.service, address, ttlS);
  }

  /** One answer for all that ask until then, of all that there is to say. */
  #sayLater(): void {
    if (this.#answer !== undefined || this.#isEnded) return;
    const { least, most } = ANSWER_AFTER_MS;
    const politeMs = least + Math.random() * (most - least);
    const againMs = this.#saidMs + SAME_AGAIN_AFTER_MS - performance.now();
    this.#answer = setTimeout(() => void this.#say(), Math.max(politeMs, againMs));
  }

  async #say(): Promise<void> {
    this.#answer = undefined;
    this.#saidMs = performance.now();
    const isRepeated = this.#repeat;
    this.#repeat = false;
    await this.#link.tell((address) => this.#records(address));
    if (isRepeated) this.#sayLater();
  }
}
