"""The part of GitHub's GraphQL schema that the sandbox has. A test compares every line with the published schema."""

from __future__ import annotations

SCHEMA = """
scalar DateTime
scalar GitObjectID
scalar GitTimestamp
scalar URI

interface Node { id: ID! }
interface Actor { login: String! url: URI! resourcePath: URI! }
interface GitObject { id: ID! oid: GitObjectID! abbreviatedOid: String! }
interface RepositoryOwner {
  id: ID!
  login: String!
  repositories(
    after: String, before: String, first: Int, last: Int, isArchived: Boolean, isFork: Boolean,
    orderBy: RepositoryOrder, ownerAffiliations: [RepositoryAffiliation], privacy: RepositoryPrivacy
  ): RepositoryConnection!
}

enum OrderDirection { ASC DESC }
enum IssueOrderField { COMMENTS CREATED_AT UPDATED_AT }
enum ReleaseOrderField { CREATED_AT NAME }
enum DeploymentOrderField { CREATED_AT }
enum RefOrderField { ALPHABETICAL TAG_COMMIT_DATE }
enum RepositoryOrderField { CREATED_AT NAME PUSHED_AT STARGAZERS UPDATED_AT }
enum RepositoryAffiliation { COLLABORATOR ORGANIZATION_MEMBER OWNER }
enum RepositoryPrivacy { PRIVATE PUBLIC }
enum IssueState { CLOSED OPEN }
enum PullRequestState { CLOSED MERGED OPEN }
enum PullRequestReviewDecision { APPROVED CHANGES_REQUESTED REVIEW_REQUIRED }
enum PullRequestReviewState { APPROVED CHANGES_REQUESTED COMMENTED DISMISSED PENDING }
enum PullRequestTimelineItemsItemType { CONVERT_TO_DRAFT_EVENT READY_FOR_REVIEW_EVENT REVIEW_REQUESTED_EVENT }
enum StatusState { ERROR EXPECTED FAILURE PENDING SUCCESS }
enum IssueStateReason { COMPLETED DUPLICATE NOT_PLANNED REOPENED }
enum ComparisonStatus { AHEAD BEHIND DIVERGED IDENTICAL }
enum MergeQueueEntryState { AWAITING_CHECKS LOCKED MERGEABLE QUEUED UNMERGEABLE }
enum DeploymentState {
  ABANDONED ACTIVE DESTROYED ERROR FAILURE INACTIVE IN_PROGRESS PENDING QUEUED SUCCESS WAITING
}
enum DeploymentStatusState { ERROR FAILURE INACTIVE IN_PROGRESS PENDING QUEUED SUCCESS WAITING }

input IssueOrder { direction: OrderDirection! field: IssueOrderField! }
input ReleaseOrder { direction: OrderDirection! field: ReleaseOrderField! }
input DeploymentOrder { direction: OrderDirection! field: DeploymentOrderField! }
input RefOrder { direction: OrderDirection! field: RefOrderField! }
input RepositoryOrder { direction: OrderDirection! field: RepositoryOrderField! }
input IssueFilters { labels: [String!] since: DateTime states: [IssueState!] }

type Query {
  node(id: ID!): Node
  nodes(ids: [ID!]!): [Node]!
  organization(login: String!): Organization
  rateLimit(dryRun: Boolean = false): RateLimit
  repository(followRenames: Boolean = true, name: String!, owner: String!): Repository
  repositoryOwner(login: String!): RepositoryOwner
  viewer: User!
}

type RateLimit { cost: Int! limit: Int! nodeCount: Int! remaining: Int! resetAt: DateTime! used: Int! }
type PageInfo { endCursor: String hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String }

type User implements Node & Actor {
  id: ID! databaseId: Int login: String! name: String email: String! url: URI! resourcePath: URI!
}
type Bot implements Node & Actor { id: ID! databaseId: Int login: String! url: URI! resourcePath: URI! }
type Organization implements Node & Actor & RepositoryOwner {
  id: ID!
  login: String!
  url: URI!
  resourcePath: URI!
  repositories(
    after: String, before: String, first: Int, last: Int, isArchived: Boolean, isFork: Boolean,
    orderBy: RepositoryOrder, ownerAffiliations: [RepositoryAffiliation], privacy: RepositoryPrivacy
  ): RepositoryConnection!
}

type Repository implements Node {
  id: ID!
  databaseId: Int
  name: String!
  nameWithOwner: String!
  owner: RepositoryOwner!
  url: URI!
  createdAt: DateTime!
  pushedAt: DateTime
  updatedAt: DateTime!
  isArchived: Boolean!
  isDisabled: Boolean!
  isEmpty: Boolean!
  isFork: Boolean!
  isPrivate: Boolean!
  diskUsage: Int
  stargazerCount: Int!
  forkCount: Int!
  defaultBranchRef: Ref
  ref(qualifiedName: String!): Ref
  refs(
    refPrefix: String!, after: String, before: String, first: Int, last: Int, query: String,
    direction: OrderDirection, orderBy: RefOrder
  ): RefConnection
  object(expression: String, oid: GitObjectID): GitObject
  issues(
    after: String, before: String, first: Int, last: Int, labels: [String!], states: [IssueState!],
    orderBy: IssueOrder, filterBy: IssueFilters
  ): IssueConnection!
  pullRequest(number: Int!): PullRequest
  pullRequests(
    after: String, before: String, first: Int, last: Int, baseRefName: String, headRefName: String,
    labels: [String!], states: [PullRequestState!], orderBy: IssueOrder
  ): PullRequestConnection!
  releases(after: String, before: String, first: Int, last: Int, orderBy: ReleaseOrder): ReleaseConnection!
  mergeQueue(branch: String): MergeQueue
  deployments(
    after: String, before: String, first: Int, last: Int, environments: [String!], orderBy: DeploymentOrder
  ): DeploymentConnection!
}

type Ref implements Node {
  id: ID!
  name: String!
  prefix: String!
  target: GitObject
  repository: Repository!
  compare(headRef: String!): Comparison
}
type Comparison implements Node {
  id: ID!
  aheadBy: Int!
  behindBy: Int!
  status: ComparisonStatus!
  commits(after: String, before: String, first: Int, last: Int): ComparisonCommitConnection!
}
type Commit implements Node & GitObject {
  id: ID!
  oid: GitObjectID!
  abbreviatedOid: String!
  url: URI!
  committedDate: DateTime!
  authoredDate: DateTime!
  message: String!
  messageHeadline: String!
  additions: Int!
  deletions: Int!
  changedFilesIfAvailable: Int
  parents(after: String, before: String, first: Int, last: Int): CommitConnection!
  author: GitActor
  authors(after: String, before: String, first: Int, last: Int): GitActorConnection!
  statusCheckRollup: StatusCheckRollup
  history(
    after: String, before: String, first: Int, last: Int, path: String, since: GitTimestamp, until: GitTimestamp
  ): CommitHistoryConnection!
}
type GitActor { name: String email: String date: GitTimestamp user: User }
type StatusCheckRollup { state: StatusState! commit: Commit }

type MergeQueue implements Node {
  id: ID!
  entries(after: String, before: String, first: Int, last: Int): MergeQueueEntryConnection
  nextEntryEstimatedTimeToMerge: Int
}
type MergeQueueEntry implements Node { id: ID! enqueuedAt: DateTime! position: Int! state: MergeQueueEntryState! }
type Release implements Node {
  id: ID! name: String tagName: String! isDraft: Boolean! isPrerelease: Boolean! createdAt: DateTime!
  publishedAt: DateTime url: URI! tagCommit: Commit
}

type PullRequest implements Node {
  id: ID!
  databaseId: Int
  number: Int!
  title: String!
  url: URI!
  state: PullRequestState!
  createdAt: DateTime!
  updatedAt: DateTime!
  closedAt: DateTime
  mergedAt: DateTime
  merged: Boolean!
  closed: Boolean!
  isCrossRepository: Boolean!
  headRefOid: GitObjectID!
  baseRefOid: GitObjectID!
  isDraft: Boolean!
  baseRefName: String!
  headRefName: String!
  additions: Int!
  deletions: Int!
  changedFiles: Int!
  totalCommentsCount: Int
  reviewDecision: PullRequestReviewDecision
  author: Actor
  mergeCommit: Commit
  commits(after: String, before: String, first: Int, last: Int): PullRequestCommitConnection!
  labels(after: String, before: String, first: Int, last: Int): LabelConnection
  reviews(
    after: String, before: String, first: Int, last: Int, author: String, states: [PullRequestReviewState!]
  ): PullRequestReviewConnection
  latestOpinionatedReviews(
    after: String, before: String, first: Int, last: Int, writersOnly: Boolean
  ): PullRequestReviewConnection
  latestReviews(after: String, before: String, first: Int, last: Int): PullRequestReviewConnection
  timelineItems(
    after: String, before: String, first: Int, last: Int, itemTypes: [PullRequestTimelineItemsItemType!],
    since: DateTime, skip: Int
  ): PullRequestTimelineItemsConnection!
  files(after: String, before: String, first: Int, last: Int): PullRequestChangedFileConnection
}
type PullRequestCommit implements Node { id: ID! commit: Commit! pullRequest: PullRequest! }
type PullRequestChangedFile { path: String! additions: Int! deletions: Int! }
type PullRequestReview implements Node {
  id: ID! state: PullRequestReviewState! submittedAt: DateTime author: Actor
}
type ReadyForReviewEvent implements Node { id: ID! createdAt: DateTime! actor: Actor }
type ConvertToDraftEvent implements Node { id: ID! createdAt: DateTime! actor: Actor }
type ReviewRequestedEvent implements Node { id: ID! createdAt: DateTime! actor: Actor }
union PullRequestTimelineItems = ReadyForReviewEvent | ConvertToDraftEvent | ReviewRequestedEvent
type Label implements Node { id: ID! name: String! }
type Issue implements Node {
  id: ID!
  databaseId: Int
  number: Int!
  author: Actor
  closed: Boolean!
  stateReason(enableDuplicate: Boolean): IssueStateReason
  title: String!
  state: IssueState!
  createdAt: DateTime!
  updatedAt: DateTime!
  closedAt: DateTime
  labels(after: String, before: String, first: Int, last: Int): LabelConnection
}
type Deployment implements Node {
  id: ID!
  databaseId: Int
  ref: Ref
  task: String
  description: String
  originalEnvironment: String
  latestEnvironment: String
  createdAt: DateTime!
  updatedAt: DateTime!
  environment: String
  state: DeploymentState
  commitOid: String!
  commit: Commit
  latestStatus: DeploymentStatus
  statuses(after: String, before: String, first: Int, last: Int): DeploymentStatusConnection
}
type DeploymentStatus implements Node {
  id: ID! state: DeploymentStatusState! createdAt: DateTime! updatedAt: DateTime!
}

type RepositoryConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Repository] }
type RefConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Ref] }
type IssueConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Issue] }
type PullRequestConnection { totalCount: Int! pageInfo: PageInfo! nodes: [PullRequest] }
type ReleaseConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Release] }
type DeploymentConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Deployment] }
type DeploymentStatusConnection { totalCount: Int! pageInfo: PageInfo! nodes: [DeploymentStatus] }
type CommitConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Commit] }
type CommitHistoryConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Commit] }
type ComparisonCommitConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Commit] }
type GitActorConnection { totalCount: Int! pageInfo: PageInfo! nodes: [GitActor] }
type MergeQueueEntryConnection { totalCount: Int! pageInfo: PageInfo! nodes: [MergeQueueEntry] }
type PullRequestCommitConnection { totalCount: Int! pageInfo: PageInfo! nodes: [PullRequestCommit] }
type LabelConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Label] }
type PullRequestReviewConnection { totalCount: Int! pageInfo: PageInfo! nodes: [PullRequestReview] }
type PullRequestTimelineItemsConnection {
  totalCount: Int! filteredCount: Int! pageInfo: PageInfo! nodes: [PullRequestTimelineItems]
}
type PullRequestChangedFileConnection { totalCount: Int! pageInfo: PageInfo! nodes: [PullRequestChangedFile] }
"""
