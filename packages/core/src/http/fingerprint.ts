// Owns what makes two requests the same request: method, path, query, media type and body.
// Never reads the body itself, and never compares: the database does, in constant time.
import { canonicalJSON } from '../codec/index.ts';
import { digest } from './digest.ts';
import { type Exchange, headerValues, mediaType, splitTarget } from './exchange.ts';
import { isJSON, parseJSON, type RequestBody } from './request-body.ts';

export interface FingerprintOptions<Req> {
  /** Replaces the whole: what it returns is hashed instead. */
  readonly fingerprint?: ((req: Req) => string | Uint8Array) | undefined;
  /** Fields of a JSON body that may differ, as `requestedAt` or `meta.sentAt`. */
  readonly ignoreFields?: readonly string[] | undefined;
  /** Headers that must not differ. */
  readonly includeHeaders?: readonly string[] | undefined;
}

type ReadBody = Extract<RequestBody, { kind: 'bytes' | 'parsed' }>;

export function fingerprintOf<Req>(
  exchange: Exchange<Req>,
  body: ReadBody,
  options: FingerprintOptions<Req>,
): string {
  if (options.fingerprint !== undefined) return digest(['own', options.fingerprint(exchange.request)]);
  const { path, query } = splitTarget(exchange.originalUrl);
  const parts: (string | Uint8Array)[] = [
    'request',
    exchange.method,
    path,
    query,
    mediaType(exchange.incoming),
  ];
  parts.push(...contentOf(exchange, body, options.ignoreFields ?? []));
  for (const name of options.includeHeaders ?? []) {
    parts.push(name.toLowerCase(), headerValues(exchange.incoming, name).join(', '));
  }
  return digest(parts);
}

/** The same for a body whether it was parsed before us or not; canonical where it is JSON, else the bytes. */
function contentOf(
  exchange: Exchange<unknown>,
  body: ReadBody,
  ignore: readonly string[],
): (string | Uint8Array)[] {
  if (body.kind === 'parsed') {
    if (body.value === undefined) return body.bytes === undefined ? ['none'] : bytesOf(exchange, body.bytes);
    if (typeof body.value === 'string' && !isJSON(mediaType(exchange.incoming))) {
      return bytesOf(exchange, Buffer.from(body.value, 'utf8'));
    }
    return ['json', canonicalJSON(withoutFields(body.value, ignore))];
  }
  const json = parseJSON(exchange, body.bytes);
  if (json !== undefined && 'value' in json) {
    try {
      return ['json', canonicalJSON(withoutFields(json.value, ignore))];
    } catch {
      // Nested too deeply to be sorted: the bytes will do.
    }
  }
  return bytesOf(exchange, body.bytes);
}

/** A multipart body is the same with another boundary, and clients draw a new one for each try. */
function bytesOf(exchange: Exchange<unknown>, bytes: Uint8Array): (string | Uint8Array)[] {
  if (bytes.byteLength === 0) return ['none'];
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(
    exchange.incoming.headers['content-type'] ?? '',
  );
  const text = boundary?.[1] ?? boundary?.[2];
  if (text === undefined || !mediaType(exchange.incoming).startsWith('multipart/')) return ['bytes', bytes];
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  return ['multipart', Buffer.from(content.replaceAll(`--${text}`, '--boundary'), 'latin1')];
}

/** A copy without the named fields; the copy shares what is not on the way to one. */
function withoutFields(value: unknown, fields: readonly string[]): unknown {
  return fields.reduce((rest, field) => withoutField(rest, field.split('.')), value);
}

function withoutField(value: unknown, [first, ...rest]: readonly string[]): unknown {
  if (first === undefined || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => withoutField(item, [first, ...rest]));
  const object = value as Record<string, unknown>;
  if (!Object.hasOwn(object, first)) return value;
  const copy = { ...object };
  if (rest.length === 0) delete copy[first];
  else copy[first] = withoutField(copy[first], rest);
  return copy;
}
