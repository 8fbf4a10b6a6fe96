import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

/** Why a request that changes something is refused; null when its token is right. */
export function bearerRefusal(
  tokenFile: string | null,
  authorization: string | undefined,
): { readonly status: 401 | 403 | 500; readonly message: string } | null {
  if (tokenFile === null) {
    return { status: 403, message: 'nothing can be changed over HTTP: "httpTokenFile" is not set' };
  }
  let wanted: string;
  try {
    // Read each time: a token can be changed without a restart, and it is not kept in memory.
    wanted = readFileSync(tokenFile, "utf8").trim();
  } catch {
    return { status: 500, message: 'the file of "httpTokenFile" cannot be read' };
  }
  if (wanted === "") return { status: 500, message: 'the file of "httpTokenFile" is empty' };
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
  if (given === undefined) return { status: 401, message: "a bearer token is needed" };
  return timingSafeEqual(digest(given), digest(wanted))
    ? null
    : { status: 403, message: "the bearer token is wrong" };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
