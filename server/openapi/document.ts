import { archivePaths } from './archive.ts'
import { auditPaths } from './audit.ts'
import { changesPaths } from './changes.ts'
import { commitmentPaths } from './commitments.ts'
import { deletionPaths } from './deletions.ts'
import { count, type Paths, type Schema, text } from './parts.ts'
import { webhookMessages, webhookPaths } from './webhooks.ts'

/** Every operation below `/api`. */
export const apiPaths: Paths = {
  ...archivePaths,
  ...auditPaths,
  ...changesPaths,
  ...commitmentPaths,
  ...deletionPaths,
  ...webhookPaths,
}

/** RFC 9457, with members of our own for some problems. */
const problem: Schema = {
  type: 'object',
  properties: { type: text, title: text, status: count, detail: text },
  required: ['type', 'title', 'status', 'detail'],
}

/** What `/api` speaks, in the words of OpenAPI 3.1. */
export function openAPIDocument(baseURL: string): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Stowage',
      version: '1',
      description:
        'What DICOM has no word for. Studies come and go over DICOMweb; OPTIONS /dicom-web describes that.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: baseURL }],
    paths: apiPaths,
    webhooks: webhookMessages,
    components: {
      schemas: { problem },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        session: { type: 'apiKey', in: 'cookie', name: '__Host-stowage' },
      },
    },
    // The empty one: a server without credentials asks for none.
    security: [{ token: [] }, { session: [] }, {}],
  }
}
