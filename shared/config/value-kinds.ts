import { isAbsolute } from "node:path";
import { fromPublic } from "@nats-io/nkeys";
import * as z from "zod";
import { isNodeName, NODE_NAME_RULE } from "../protocol/names.ts";
import { isDomain } from "../protocol/subjects.ts";
import { parseHostPort } from "./host-port.ts";

/** The kinds of value that several sections of the configuration share. Each message completes "is …, ". */

export const nodeName = z.string().refine(isNodeName, `must be ${NODE_NAME_RULE}`);

export const nodeOrAll = z
  .string()
  .refine((text) => text === "*" || isNodeName(text), `must be * or ${NODE_NAME_RULE}`);

/** What a domain must look like, for error messages. */
export const DOMAIN_RULE = "one word without spaces, dots and wildcards, not beginning with _";

/** The rule of `isDomain` as a pattern, so that the printed schema has it too. */
export const domainName = z.string().regex(/^(?!_)[^\s.*>\p{Cc}]+$/u, `must be ${DOMAIN_RULE}`);

export const domainOrAll = z
  .string()
  .refine((text) => text === "*" || isDomain(text), `must be * or ${DOMAIN_RULE}`);

export const label = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,62}$/, "must be one word of at most 63 letters, digits, '.', '-' and '_'");

export const absolutePath = z
  .string()
  .refine((path) => isAbsolute(path) && !path.includes("\0"), "must be an absolute path");

/** Port 0 lets the operating system choose. */
export const listenAddress = z
  .string()
  .refine((text) => parseHostPort(text) !== null, "must be host:port with a port from 0 to 65535");

/** An address of somebody else: port 0 cannot be dialled. */
export const dialAddress = z
  .string()
  .refine((text) => (parseHostPort(text)?.port ?? 0) > 0, "must be host:port with a port from 1 to 65535");

export const bytes = z.int("must be a whole number of bytes");

export const userPublicKey = z
  .string()
  .refine(isUserPublicKey, "must be the public nkey of a user: U and 55 more letters and digits");

/** A URL of one of the schemes, with a host, a usable port and no credentials in it. */
export function url(...schemes: readonly string[]) {
  return z.string().check((context) => {
    const problem = urlProblem(context.value, schemes);
    if (problem !== null) {
      context.issues.push({ code: "custom", message: problem, input: context.value, continue: true });
    }
  });
}

function urlProblem(text: string, schemes: readonly string[]): string | null {
  const parsed = URL.parse(text);
  const kinds = schemes.map((scheme) => `${scheme}://host:port`).join(" or ");
  if (parsed === null || !schemes.includes(parsed.protocol.slice(0, -1)) || parsed.hostname === "") {
    return `must be ${kinds}`;
  }
  if (parsed.username !== "" || parsed.password !== "") {
    return "must not hold credentials: keys are in seed files";
  }
  if (parsed.port === "0") return "must have a port from 1 to 65535";
  return null;
}

function isUserPublicKey(text: string): boolean {
  if (text.length !== 56 || !text.startsWith("U")) return false;
  try {
    fromPublic(text);
    return true;
  } catch {
    return false;
  }
}
