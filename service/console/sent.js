// Clips that were sent from this tab: the service keeps none, so an action has its clip here or nowhere.
const MOST = 20;
const clips = new Map();

/** Keep a clip with its answer, for each action that became an event of it. The oldest go beyond the most. */
export function remember(file, answer) {
  for (const { action_id } of answer.events) clips.set(action_id, { file, answer });
  for (const oldest of [...clips.keys()].slice(0, -MOST)) clips.delete(oldest);
}

/** The clip and the answer that an action came from, or undefined. */
export function recall(actionId) {
  return clips.get(actionId);
}
