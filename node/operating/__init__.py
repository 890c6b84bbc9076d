"""What operators may see and do, without a terminal and without a page: both stand on it.

=================  ================================================================================
`overview.look`    how the node stands: one frozen `Overview`
`jobs.listed`      analyses by a `JobFilter`, in pages: a `JobPage` with where the next one begins
`jobs.shown`       one analysis with its study, results and deliveries: a `JobDetail`
`desk.open_desk`   a `Desk`: what may be changed, and by whom
`actions`          ``retry``, ``resend``, ``cancel``, ``prioritise``, ``readmit``, ``reprocess``,
                   ``drain``, ``resume``: each takes a `Desk`, changes all or nothing, tells the
                   audit trail who did it, and answers with a `Done`
=================  ================================================================================

What is asked for and cannot be is a `UsageError` whose one line is for the person who asked. All
values hold nothing but what JSON can, times and enumerations aside, and neither patients nor files;
their JSON Schemas are in docs/schemas.
"""
