"""The JSON of the REST API. As on GitHub, lists have fewer fields than single objects."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from .comparison import Comparison
from .jobs import Job
from .model import (
    Account,
    Commit,
    Deployment,
    DeploymentStatus,
    File,
    Issue,
    Pull,
    Push,
    Release,
    Repository,
    Review,
    Run,
    Runner,
    Signature,
    TimelineEvent,
    oid,
)
from .people import ACTIONS, DEPENDABOT

FORK_OFFSET = 500_000
ORGANIZATION_ID = 5_005
# Addresses in every repository object, which are most of a list of runs.
REPOSITORY_URLS = (
    'archive_url {/archive_format}{/ref}', 'assignees_url assignees{/user}', 'blobs_url git/blobs{/sha}',
    'branches_url branches{/branch}', 'collaborators_url collaborators{/collaborator}',
    'comments_url comments{/number}', 'commits_url commits{/sha}', 'compare_url compare/{base}...{head}',
    'contents_url contents/{+path}', 'contributors_url contributors', 'deployments_url deployments',
    'downloads_url downloads', 'events_url events', 'forks_url forks', 'git_commits_url git/commits{/sha}',
    'git_refs_url git/refs{/sha}', 'git_tags_url git/tags{/sha}', 'hooks_url hooks',
    'issue_comment_url issues/comments{/number}', 'issue_events_url issues/events{/number}',
    'issues_url issues{/number}', 'keys_url keys{/key_id}', 'labels_url labels{/name}',
    'languages_url languages', 'merges_url merges', 'milestones_url milestones{/number}',
    'notifications_url notifications{?since,all,participating}', 'pulls_url pulls{/number}',
    'releases_url releases{/id}', 'stargazers_url stargazers', 'statuses_url statuses/{sha}',
    'subscribers_url subscribers', 'subscription_url subscription', 'tags_url tags', 'teams_url teams',
    'trees_url git/trees{/sha}',
)  # fmt: skip
ACCOUNT_URLS = (
    'followers_url followers', 'following_url following{/other_user}', 'gists_url gists{/gist_id}',
    'starred_url starred{/owner}{/repo}', 'subscriptions_url subscriptions', 'organizations_url orgs',
    'repos_url repos', 'events_url events{/privacy}', 'received_events_url received_events',
)  # fmt: skip


def time(moment: datetime | None) -> str | None:
    """Format a time as GitHub does."""
    return None if moment is None else f'{moment:%Y-%m-%dT%H:%M:%SZ}'


class Shapes:
    """Makes the JSON of one server. `api` is the REST base address, `web` that of the pages."""

    def __init__(self, api: str, web: str) -> None:
        self.api = api
        self.web = web
        self._repositories: dict[tuple[int, bool], str] = {}
        self._accounts: dict[Account, str] = {}

    # Accounts and repositories.

    def account(self, account: Account | None) -> dict[str, Any] | None:
        """Return a simple user; None for a deleted account."""
        return None if account is None else self._account(account)

    def _account(self, account: Account) -> dict[str, Any]:
        login = account.login + ('[bot]' if account.typename == 'Bot' else '')
        url = f'{self.api}/users/{login}'
        return {
            'login': login,
            'id': account.database_id,
            'node_id': account.id,
            'avatar_url': f'{self.web}/avatars/u/{account.database_id}?v=4',
            'gravatar_id': '',
            'url': url,
            'html_url': f'{self.web}/{login}',
            **{name: f'{url}/{rest}' for name, rest in (entry.split(' ') for entry in ACCOUNT_URLS)},
            'type': account.typename,
            'user_view_type': 'public',
            'site_admin': False,
        }

    def owner(self, login: str) -> dict[str, Any]:
        """Return the organization as an account."""
        return {**self._account(Account(login, ORGANIZATION_ID)), 'type': 'Organization'}

    def repository(self, repository: Repository, *, fork: bool = False) -> dict[str, Any]:
        """Return a minimal repository, as other objects embed it; `fork`: a fork of it."""
        owner = 'contributor' if fork else repository.owner
        slug = f'{owner}/{repository.name}'
        url = f'{self.api}/repos/{slug}'
        return {
            'id': repository.database_id + (FORK_OFFSET if fork else 0),
            'node_id': repository.id + ('F' if fork else ''),
            'name': repository.name,
            'full_name': slug,
            'private': repository.is_private,
            'owner': self.account(Account(owner, 777)) if fork else self.owner(owner),
            'html_url': f'{self.web}/{slug}',
            'description': 'Training and evaluation of agents' if repository.disk_usage > 10_000 else None,
            'fork': fork or repository.is_fork,
            'url': url,
            **{name: f'{url}/{rest}' for name, rest in (entry.split(' ') for entry in REPOSITORY_URLS)},
        }

    def full_repository(self, repository: Repository) -> dict[str, Any]:
        """Return a complete repository."""
        open_issues = sum(issue.state == 'OPEN' for issue in repository.issues)
        open_pulls = sum(pull.state == 'OPEN' for pull in repository.pulls.values())
        return {
            **self.repository(repository),
            'default_branch': repository.default_branch,
            'archived': repository.is_archived,
            'disabled': repository.is_disabled,
            'size': repository.disk_usage,
            'stargazers_count': repository.stargazer_count,
            'watchers_count': repository.stargazer_count,
            'forks_count': repository.fork_count,
            'open_issues_count': open_issues + open_pulls,
            'created_at': time(repository.created_at),
            'visibility': 'private' if repository.is_private else 'public',
            'has_issues': True,
        }

    def branch(self, repository: Repository, name: str) -> dict[str, Any]:
        """Return a branch, as lists have it."""
        sha = oid(repository.name, 'branch', name)
        return {'name': name, 'commit': {'sha': sha, 'url': f'{self.api}/{sha}'}, 'protected': False}

    def whole_branch(self, repository: Repository, name: str) -> dict[str, Any]:
        """Return a branch with its last commit."""
        url = f'{self.api}/repos/{repository.name_with_owner}/branches/{name}'
        return {
            'name': name,
            'commit': self.commit(repository, repository.commits[0]),
            '_links': {'self': url, 'html': f'{self.web}/{repository.name_with_owner}/tree/{name}'},
            'protected': False,
            'protection': {'enabled': False},
            'protection_url': f'{url}/protection',
        }

    def content(self, repository: Repository, path: str) -> dict[str, Any]:
        """Return a file of a folder."""
        url = f'{self.api}/repos/{repository.name_with_owner}'
        page = f'{self.web}/{repository.name_with_owner}/blob/{repository.default_branch}/{path}'
        sha = oid(repository.name, path)
        own = f'{url}/contents/{path}?ref={repository.default_branch}'
        blob = f'{url}/git/blobs/{sha}'
        return {
            'name': path.rpartition('/')[2],
            'path': path,
            'sha': sha,
            'size': 1_200,
            'type': 'file',
            'url': own,
            'html_url': page,
            'git_url': blob,
            'download_url': None,
            '_links': {'self': own, 'git': blob, 'html': page},
        }

    # Workflow runs: their lists are large, so that parts are kept as text.

    def run_text(self, repository: Repository, run: Run) -> str:
        """Return a workflow run as JSON text."""
        own = self._repository_text(repository, fork=False)
        head = {'own': own, 'fork': self._repository_text(repository, fork=True), None: 'null'}[run.head]
        actor = self._account_text(run.actor)
        text = json.dumps(self._run(repository, run))
        return (
            f'{text[:-1]}, "actor": {actor}, "triggering_actor": {actor}, '
            f'"repository": {own}, "head_repository": {head}}}'
        )

    def _run(self, repository: Repository, run: Run) -> dict[str, Any]:
        url = f'{self.api}/repos/{repository.name_with_owner}/actions/runs/{run.id}'
        page = f'{self.web}/{repository.name_with_owner}/actions/runs/{run.id}'
        author = run.actor or DEPENDABOT
        return {
            'id': run.id,
            'name': run.name,
            'node_id': f'WFR_kwLO{run.id}',
            'head_branch': run.head_branch,
            'head_sha': run.head_sha,
            'path': run.path,
            'display_title': f'Run {run.run_number}',
            'run_number': run.run_number,
            'event': run.event,
            'status': run.status,
            'conclusion': run.conclusion,
            'workflow_id': run.workflow_id,
            'check_suite_id': run.id + 1_000,
            'check_suite_node_id': f'CS_kwDO{run.id + 1_000}',
            'url': url,
            'html_url': page,
            'pull_requests': [],
            'created_at': time(run.created_at),
            'updated_at': time(run.updated_at),
            'run_attempt': run.run_attempt,
            'referenced_workflows': [],
            'run_started_at': time(run.run_started_at),
            'jobs_url': f'{url}/jobs',
            'logs_url': f'{url}/logs',
            'check_suite_url': f'{self.api}/repos/{repository.name_with_owner}/check-suites/{run.id + 1_000}',
            'artifacts_url': f'{url}/artifacts',
            'cancel_url': f'{url}/cancel',
            'rerun_url': f'{url}/rerun',
            'previous_attempt_url': f'{url}/attempts/{run.run_attempt - 1}' if run.run_attempt > 1 else None,
            'workflow_url': f'{self.api}/repos/{repository.name_with_owner}/actions/workflows/{run.workflow_id}',
            'head_commit': {
                'id': run.head_sha,
                'tree_id': oid(run.head_sha, 'tree'),
                'message': f'Change {run.run_number}',
                'timestamp': time(run.created_at),
                'author': {'name': author.name or author.login, 'email': author.email},
                'committer': {'name': 'GitHub', 'email': 'noreply@github.com'},
            },
        }

    def _repository_text(self, repository: Repository, *, fork: bool) -> str:
        key = (repository.database_id, fork)
        if key not in self._repositories:
            self._repositories[key] = json.dumps(self.repository(repository, fork=fork))
        return self._repositories[key]

    def _account_text(self, account: Account | None) -> str:
        if account is None:
            return 'null'
        if account not in self._accounts:
            self._accounts[account] = json.dumps(self.account(account))
        return self._accounts[account]

    def job(self, repository: Repository, run: Run, job: Job) -> dict[str, Any]:
        """Return a job of an attempt. A queued job has no runner."""
        url = f'{self.api}/repos/{repository.name_with_owner}'
        page = f'{self.web}/{repository.name_with_owner}/actions/runs/{run.id}'
        begun = job.has_runner
        hosted = 'self-hosted' not in job.labels
        group = 'GitHub Actions' if hosted else 'Default'
        return {
            'id': job.id,
            'run_id': run.id,
            'run_url': f'{url}/actions/runs/{run.id}',
            'run_attempt': run.run_attempt,
            'node_id': f'CR_kwDO{job.id}',
            'head_sha': run.head_sha,
            'head_branch': run.head_branch,
            'workflow_name': run.name,
            'url': f'{url}/actions/jobs/{job.id}',
            'html_url': f'{page}/job/{job.id}',
            'check_run_url': f'{url}/check-runs/{job.id}',
            'status': job.status,
            'conclusion': job.conclusion,
            'created_at': time(job.created_at),
            'started_at': time(job.started_at),
            'completed_at': time(job.completed_at),
            'name': job.name,
            'steps': [],
            'labels': list(job.labels),
            'runner_id': job.id % 1_000 if begun else None,
            'runner_name': f'{group} {job.id % 1_000}' if begun else None,
            'runner_group_id': int(not hosted) if begun else None,
            'runner_group_name': group if begun else None,
        }

    def approval(self, repository: Repository, run: Run) -> dict[str, Any]:
        """Return the review of the deployments of a run."""
        url = f'{self.api}/repos/{repository.name_with_owner}/environments/production'
        page = f'{self.web}/{repository.name_with_owner}/deployments/activity_log?environments_filter=production'
        environment = {
            'id': 1,
            'node_id': 'EN_kwDO1',
            'name': 'production',
            'url': url,
            'html_url': page,
            'created_at': time(repository.created_at),
            'updated_at': time(repository.created_at),
        }
        user = self._account(run.actor or DEPENDABOT)
        return {'state': 'approved', 'comment': '', 'environments': [environment], 'user': user}

    def workflow(self, repository: Repository, newest: Run) -> dict[str, Any]:
        """Return a workflow by its newest run. One whose file has no valid name is called by the path of the file."""
        url = f'{self.api}/repos/{repository.name_with_owner}/actions/workflows/{newest.workflow_id}'
        page = f'{self.web}/{repository.name_with_owner}'
        return {
            'id': newest.workflow_id,
            'node_id': f'W_kwDO{newest.workflow_id}',
            'name': newest.name or newest.path,
            'path': newest.path,
            'state': 'active',
            'created_at': time(repository.created_at),
            'updated_at': time(repository.created_at),
            'url': url,
            'html_url': f'{page}/blob/{repository.default_branch}/{newest.path}',
            'badge_url': f'{page}/workflows/{newest.workflow_id}/badge.svg',
        }

    def runner(self, number: int, runner: Runner) -> dict[str, Any]:
        """Return a self-hosted runner. The first three labels are those that GitHub gives by itself."""
        labels = [(name, 'read-only') for name in runner.own_labels] + [(name, 'custom') for name in runner.labels]
        return {
            'id': number + 1,
            'runner_group_id': 1,
            'name': f'runner-{number}',
            'os': runner.os,
            'status': runner.status,
            'busy': runner.busy,
            'labels': [{'id': index + 1, 'name': name, 'type': kind} for index, (name, kind) in enumerate(labels)],
        }

    # Pull requests.

    def pull(self, pull: Pull, *, alone: bool = False) -> dict[str, Any]:
        """Return a pull request. `alone`: with sums (lines, files, comments, commits), which lists lack."""
        repository = pull.repository
        url = f'{self.api}/repos/{repository.name_with_owner}'
        sums = {
            'merged': pull.merged,
            'comments': pull.comments,
            'review_comments': pull.review_comments,
            'commits': len(pull.commits),
            'additions': pull.additions,
            'deletions': pull.deletions,
            'changed_files': pull.changed_files,
        }
        return {
            'id': pull.database_id,
            'node_id': pull.id,
            'number': pull.number,
            'url': f'{url}/pulls/{pull.number}',
            'html_url': f'{self.web}/{repository.name_with_owner}/pull/{pull.number}',
            'issue_url': f'{url}/issues/{pull.number}',
            'state': 'open' if pull.state == 'OPEN' else 'closed',
            'title': pull.title,
            'user': self.account(pull.author),
            'body': None,
            'draft': pull.is_draft,
            'locked': False,
            'labels': [{'id': sum(map(ord, name)), 'name': name, 'color': 'ededed'} for name in pull.labels],
            'created_at': time(pull.created_at),
            'updated_at': time(pull.updated_at),
            'closed_at': time(pull.closed_at),
            'merged_at': time(pull.merged_at),
            'merge_commit_sha': oid(repository.name, 'merge', pull.number),
            'head': {
                'ref': pull.head_ref_name,
                'label': f'{repository.owner}:{pull.head_ref_name}',
                'sha': pull.commits[-1].oid,
                'user': self.account(pull.author),
                'repo': self.repository(repository, fork=pull.from_fork),
            },
            'base': {
                'ref': pull.base_ref_name,
                'label': f'{repository.owner}:{pull.base_ref_name}',
                'sha': oid(repository.name, 'base', pull.number),
                'user': self.owner(repository.owner),
                'repo': self.repository(repository),
            },
            'author_association': 'MEMBER',
            **(sums if alone else {}),
        }

    def review(self, pull: Pull, review: Review) -> dict[str, Any]:
        """Return a review."""
        return {
            'id': review.id,
            'node_id': f'PRR_kwDO{review.id}',
            'user': self.account(review.author),
            'body': '',
            'state': review.state,
            'commit_id': pull.commits[-1].oid,
            'pull_request_url': f'{self.api}/repos/{pull.repository.name_with_owner}/pulls/{pull.number}',
            'submitted_at': time(review.submitted_at),
        }

    def event(self, event: TimelineEvent) -> dict[str, Any]:
        """Return an entry of the timeline."""
        kind = event.kind.removesuffix('_EVENT').lower()
        return {
            'id': sum(map(ord, f'{event.kind}{event.created_at}')),
            'node_id': f'E_{kind}',
            'event': 'review_requested' if kind == 'review_requested' else kind,
            'actor': self.account(event.actor),
            'commit_id': None,
            'created_at': time(event.created_at),
        }

    def file(self, file: File) -> dict[str, Any]:
        """Return a changed file."""
        path, added, deleted = file
        return {
            'sha': oid(path),
            'filename': path,
            'status': 'modified',
            'additions': added,
            'deletions': deleted,
            'changes': added + deleted,
        }

    # Issues, deployments, releases.

    def issue(self, repository: Repository, row: Issue | Pull) -> dict[str, Any]:
        """Return an issue; a pull request is one, too, with the key `pull_request`."""
        url = f'{self.api}/repos/{repository.name_with_owner}'
        own = f'{url}/issues/{row.number}'
        page = f'{self.web}/{repository.name_with_owner}'
        pull = {}
        if isinstance(row, Pull):
            links = {'url': f'{url}/pulls/{row.number}', 'html_url': f'{page}/pull/{row.number}'}
            pull = {'pull_request': {**links, 'diff_url': None, 'patch_url': None, 'merged_at': time(row.merged_at)}}
        return {
            'id': row.database_id,
            'node_id': f'I_kwDO{row.database_id}',
            'url': own,
            'repository_url': url,
            'labels_url': f'{own}/labels{{/name}}',
            'comments_url': f'{own}/comments',
            'events_url': f'{own}/events',
            'html_url': f'{page}/{"pull" if pull else "issues"}/{row.number}',
            'number': row.number,
            'state': 'closed' if row.closed else 'open',
            'state_reason': 'completed' if row.closed else None,
            'title': row.title,
            'body': None,
            'user': self.account(row.author),
            'labels': [{'id': sum(map(ord, name)), 'name': name, 'color': 'ededed'} for name in row.labels],
            'assignee': None,
            'assignees': [],
            'milestone': None,
            'locked': False,
            'comments': 0,
            'closed_at': time(row.closed_at),
            'created_at': time(row.created_at),
            'updated_at': time(row.updated_at),
            'author_association': 'MEMBER',
            **pull,
        }

    def deployment(self, repository: Repository, row: Deployment) -> dict[str, Any]:
        """Return a deployment, whose state only its statuses tell."""
        url = f'{self.api}/repos/{repository.name_with_owner}'
        own = f'{url}/deployments/{row.number}'
        return {
            'url': own,
            'id': row.number,
            'node_id': row.id,
            'sha': row.commit.oid,
            'ref': repository.default_branch,
            'task': row.task,
            'payload': {},
            'original_environment': row.environment,
            'environment': row.environment,
            'description': row.description,
            'creator': self.account(ACTIONS),
            'created_at': time(row.created_at),
            'updated_at': time(row.updated_at),
            'statuses_url': f'{own}/statuses',
            'repository_url': url,
        }

    def deployment_status(
        self, repository: Repository, deployment: Deployment, number: int, status: DeploymentStatus
    ) -> dict[str, Any]:
        """Return a status of a deployment; `number`: its place, the oldest first."""
        url = f'{self.api}/repos/{repository.name_with_owner}'
        own = f'{url}/deployments/{deployment.number}'
        key = deployment.number * 10 + number
        return {
            'url': f'{own}/statuses/{key}',
            'id': key,
            'node_id': f'DES_kwDO{key}',
            'state': status.state.lower(),
            'creator': self.account(ACTIONS),
            'description': '',
            'environment': deployment.environment,
            'target_url': '',
            'created_at': time(status.created_at),
            'updated_at': time(status.updated_at),
            'deployment_url': own,
            'repository_url': url,
        }

    def release(self, repository: Repository, number: int, row: Release) -> dict[str, Any]:
        """Return a release; `number`: its place."""
        url = f'{self.api}/repos/{repository.name_with_owner}/releases/{number + 1}'
        page = f'{self.web}/{repository.name_with_owner}/releases'
        return {
            'url': url,
            'html_url': f'{page}/tag/{row.tag_name}',
            'assets_url': f'{url}/assets',
            'upload_url': f'{url}/assets{{?name,label}}',
            'tarball_url': None,
            'zipball_url': None,
            'id': number + 1,
            'node_id': f'RE_kwDO{number + 1}',
            'tag_name': row.tag_name,
            'target_commitish': repository.default_branch,
            'name': row.name,
            'body': '',
            'draft': row.is_draft,
            'prerelease': row.is_prerelease,
            'created_at': time(row.created_at),
            'published_at': time(row.published_at),
            'author': self._account(ACTIONS),
            'assets': [],
        }

    def comparison(
        self, repository: Repository, names: tuple[str, str], comparison: Comparison, page: list[Commit]
    ) -> dict[str, Any]:
        """Return a comparison of two commits with a page of the commits that only the second one has."""
        basehead = '...'.join(names)
        url = f'{self.api}/repos/{repository.name_with_owner}/compare/{basehead}'
        html = f'{self.web}/{repository.name_with_owner}/compare/{basehead}'
        commits = repository.commits
        return {
            'url': url,
            'html_url': html,
            'permalink_url': html,
            'diff_url': f'{html}.diff',
            'patch_url': f'{html}.patch',
            'base_commit': self.commit(repository, commits[comparison.base]),
            'merge_base_commit': self.commit(repository, commits[max(comparison.base, comparison.head)]),
            'status': comparison.status.lower(),
            'ahead_by': comparison.ahead_by,
            'behind_by': comparison.behind_by,
            'total_commits': comparison.ahead_by,
            'commits': [self.commit(repository, commit) for commit in page],
            'files': [],
        }

    # Commits.

    def _signed(self, signature: Signature, moment: datetime) -> dict[str, Any]:
        return {'name': signature.name, 'email': signature.email, 'date': time(moment)}

    def commit(self, repository: Repository, commit: Commit, files: list[File] | None = None) -> dict[str, Any]:
        """Return a commit; with a page of `files`, the complete one."""
        url = f'{self.api}/repos/{repository.name_with_owner}/commits/{commit.oid}'
        author = commit.signatures[0]
        account = author.user
        if account is None and author.email.lower() == '49699333+dependabot[bot]@users.noreply.github.com':
            account = DEPENDABOT
        alone = {}
        if files is not None:
            total = commit.additions + commit.deletions
            alone = {
                'stats': {'additions': commit.additions, 'deletions': commit.deletions, 'total': total},
                'files': [self.file(file) for file in files],
            }
        return {
            'sha': commit.oid,
            'node_id': f'C_kwDO{commit.oid}',
            'url': url,
            'html_url': f'{self.web}/{repository.name_with_owner}/commit/{commit.oid}',
            'commit': {
                'message': commit.message,
                'author': self._signed(author, commit.authored_date),
                'committer': self._signed(author, commit.committed_date),
                'tree': {'sha': oid(commit.oid, 'tree'), 'url': f'{url}/tree'},
                'comment_count': 0,
            },
            'author': self.account(account),
            'committer': self.account(account),
            'parents': [{'sha': parent, 'url': f'{url}/../{parent}'} for parent in commit.parents],
            **alone,
        }

    def push(self, push: Push) -> dict[str, Any]:
        """Return an entry of the activity list."""
        return {
            'id': push.id,
            'node_id': f'PSH_kwDO{push.id}',
            'before': push.before,
            'after': push.after,
            'ref': push.ref,
            'timestamp': time(push.timestamp),
            'activity_type': push.activity_type,
            'actor': self.account(push.actor),
        }
