/**
 * What Stowage remembers.
 *
 * Words that are not DICOM's own, each with one meaning here, in the tables, on the page and in the
 * documentation:
 *
 * - transfer: one attempt to hand over a set of instances (one STOW-RS request, one browser upload)
 * - staged: received and safe, but not committed; nothing but its own transfer reads it
 * - segment: one append-only object in the store, holding the parts of one transfer one after another
 * - shared segment: one that holds the parts of many small transfers; its server appends to it for a while
 * - spool: a segment of a transfer that is never committed: what waits until it is known what it belongs to
 * - group: small transfers that are committed together, to one shared segment
 * - tombstone: what stays of a deleted instance; while it stands, the instance is refused when it comes again
 * - compaction: writing a segment again without the bytes that belong to no instance any more
 * - refusal: an instance that was not accepted, with its Failure Reason
 * - quiet time: how long nothing may arrive before something is stable
 * - generation: the number of a resource's stable event; a late instance opens the next one
 * - change: one row of the feed
 * - webhook: a URL that is told of changes as they come
 * - delivery: one change on its way to one webhook
 * - commitment: one storage commitment request, with what became of it
 * - verification: reading the bytes of instances again, and comparing them with their digests
 * - damaged: an instance whose bytes are not what they were when they came
 * - token: what a program shows to say who it is; only its digest is kept
 * - session: a browser that has signed in with a user's password
 * - audit event: somebody stored, saw, changed or deleted something, or was not let in; added and never changed
 * - warning: an instance that was stored although something about it is not right, with its Warning Reason
 *
 * DICOM attributes keep their keyword: StudyInstanceUID is `studyInstanceUID` here and
 * `study_instance_uid` in SQL. Attributes of a study and of a series are those of the first instance
 * that had a value; an instance that says otherwise is stored with a warning.
 *
 * A column that ends in Key besides the keys of tables is what a search compares: a name or a time in one form,
 * which Postgres makes of the attribute.
 */
export * from './schema/access.ts'
export * from './schema/archive.ts'
export * from './schema/audit.ts'
export * from './schema/backups.ts'
export * from './schema/changes.ts'
export * from './schema/commitments.ts'
export * from './schema/deletions.ts'
export * from './schema/evidence.ts'
export * from './schema/quiet-rules.ts'
export * from './schema/transfers.ts'
export * from './schema/webhooks.ts'
