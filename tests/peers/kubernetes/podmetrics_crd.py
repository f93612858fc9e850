#!/usr/bin/env python3
"""Serves metrics.k8s.io/v1beta1 pods on a kube-apiserver without metrics-server.

A custom resource definition named pods.metrics.k8s.io answers GET /apis/metrics.k8s.io/v1beta1/pods with whatever
PodMetrics objects were created under it. User `check` gets the rights that the check documents. Standard library only.
"""

import argparse
import json
import ssl
import time
import urllib.error
import urllib.request

GROUP = 'metrics.k8s.io'


def crd():
    """The definition; what the objects contain is up to those who create them."""
    anything = {'type': 'object', 'x-kubernetes-preserve-unknown-fields': True}
    version = {'name': 'v1beta1', 'served': True, 'storage': True, 'schema': {'openAPIV3Schema': anything}}
    names = {'plural': 'pods', 'singular': 'pod', 'kind': 'PodMetrics', 'listKind': 'PodMetricsList'}
    return {
        'apiVersion': 'apiextensions.k8s.io/v1',
        'kind': 'CustomResourceDefinition',
        'metadata': {
            'name': f'pods.{GROUP}',
            'annotations': {'api-approved.kubernetes.io': 'unapproved, test peer'},
        },
        'spec': {'group': GROUP, 'scope': 'Namespaced', 'names': names, 'versions': [version]},
    }


def rbac():
    """ClusterRole and binding: list only, nothing else."""
    rules = [
        {'apiGroups': [''], 'resources': ['pods', 'nodes'], 'verbs': ['list']},
        {'apiGroups': ['apps'], 'resources': ['deployments'], 'verbs': ['list']},
        {'apiGroups': [GROUP], 'resources': ['pods'], 'verbs': ['list']},
    ]
    api = 'rbac.authorization.k8s.io'
    common = {'apiVersion': f'{api}/v1', 'metadata': {'name': 'metta-checks'}}
    yield 'clusterroles', {**common, 'kind': 'ClusterRole', 'rules': rules}
    role = {'apiGroup': api, 'kind': 'ClusterRole', 'name': 'metta-checks'}
    subject = {'apiGroup': api, 'kind': 'User', 'name': 'check'}
    yield 'clusterrolebindings', {**common, 'kind': 'ClusterRoleBinding', 'roleRef': role, 'subjects': [subject]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--url', required=True)
    parser.add_argument('--ca', required=True)
    parser.add_argument('--token', default='admintoken')
    args = parser.parse_args()
    context = ssl.create_default_context(cafile=args.ca)

    def call(method, path, body=None):
        """HTTP status; 409 (exists) counts as done."""
        headers = {'Authorization': f'Bearer {args.token}', 'Content-Type': 'application/json'}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(args.url + path, method=method, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code

    status = call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd())
    if status not in (201, 409):
        raise SystemExit(f'creating the definition answered {status}')
    for plural, body in rbac():
        status = call('POST', f'/apis/rbac.authorization.k8s.io/v1/{plural}', body)
        if status not in (201, 409):
            raise SystemExit(f'creating {plural} answered {status}')
    deadline = time.monotonic() + 30
    while call('GET', f'/apis/{GROUP}/v1beta1/pods') != 200:
        if time.monotonic() > deadline:
            raise SystemExit('the pod metrics API did not come up')
        time.sleep(0.25)


if __name__ == '__main__':
    main()
