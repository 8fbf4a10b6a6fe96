import type { NatsConnection } from "@nats-io/transport-node";
import { askForLost } from "../../shared/client/commands/ask-held.ts";
import { heldQuestionSubject } from "../../shared/protocol/held-commands.ts";
import { nodeReplySubject } from "../../shared/protocol/subjects.ts";
import type { Flight } from "./flights.ts";

interface WaitingFlight {
  readonly flight: Flight;
  readonly domain: string;
  readonly command: string;
  readonly reply: string;
}

/** The commands at a leaf that no program there has, as far as that can be known: after one of them ended. */
export async function lostWithPrograms(
  nc: NatsConnection,
  leaf: string,
  flights: () => readonly Flight[],
): Promise<readonly Flight[]> {
  // Where a leaf may answer the hub; the inbox's two words are one there.
  const reply = (inbox: string) => nodeReplySubject(leaf, inbox.replace("_INBOX.", "held-"));
  const lost = await askForLost<WaitingFlight>({
    nc,
    subject: heldQuestionSubject(leaf),
    reply,
    hear: (inbox) => [reply(inbox)],
    waiting: () =>
      flights().map((flight) => {
        const { domain, command } = flight.command;
        return { flight, domain, command, reply: flight.reply };
      }),
  });
  return lost.map(({ flight }) => flight);
}
