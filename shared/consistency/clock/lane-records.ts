import { laneRecord, readRecord, retiredRecord } from "../../protocol/control-records.ts";
import type { StoredMessage } from "../../protocol/event.ts";
import { headerValue } from "../../protocol/headers.ts";
import { HEADER } from "../../protocol/names.ts";
import { parseLogPosition } from "../../protocol/reign.ts";
import { controlRecordSubject } from "../../protocol/subjects.ts";
import type { LaneHistory } from "./lane-history.ts";

const LANE = controlRecordSubject("lane");
const RETIRED = controlRecordSubject("retired");

/** Subjects of the log's records that a `LaneHistory` is made of. */
export const LANE_RECORDS: readonly string[] = [LANE, RETIRED];

export const isLaneRecord = ({ subject }: { readonly subject: string }): boolean =>
  subject === LANE || subject === RETIRED;

/** Takes in what a message of the log or a copy says of lanes; any other one changes nothing. */
export function takeLaneRecord(lanes: LaneHistory, message: StoredMessage): void {
  const position = parseLogPosition(headerValue(message.headerText, HEADER.log));
  if (!position) return;
  if (message.subject === LANE) {
    const record = readRecord(laneRecord, message);
    if (record) lanes.add(record, position.index);
  } else if (message.subject === RETIRED) {
    const record = readRecord(retiredRecord, message);
    if (record) lanes.retire(record.node, position.index);
  }
}
