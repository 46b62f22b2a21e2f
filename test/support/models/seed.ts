/** Of the generated sequences: MODEL_SEED plays others. */
export const seed = Number(process.env.MODEL_SEED ?? 20251125);
