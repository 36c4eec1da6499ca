// Owns the header lists that a browser client needs in a CORS configuration.
// Never sets them: that is the business of the CORS middleware.

/** For `Access-Control-Allow-Headers`: what clients of these routes send. */
export const CORS_REQUEST_HEADERS: readonly string[] = [
  'Content-Type',
  'Idempotency-Key',
  'If-None-Match',
  'Last-Event-ID',
  'Prefer',
];

/** For `Access-Control-Expose-Headers`: what these routes answer with. */
export const CORS_RESPONSE_HEADERS: readonly string[] = [
  'ETag',
  'Idempotency-Stored',
  'Idempotent-Replayed',
  'Link',
  'Location',
  'Preference-Applied',
  'Retry-After',
];
