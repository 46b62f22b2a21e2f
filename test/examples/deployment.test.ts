import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { loadAll } from 'js-yaml';

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: Record<string, unknown>;
}

const manifests = ['mcp', 'redis'].flatMap(
  name => loadAll(readFileSync(`examples/kubernetes/${name}.yaml`, 'utf8')) as Manifest[]
);
const of = (kind: string) => manifests.find(manifest => manifest.kind === kind)!;

/** @throws with the path of what the schema of its kind does not allow */
async function validate(manifest: Manifest): Promise<void> {
  const models = (await import(`kubernetes-models/${manifest.apiVersion}/${manifest.kind}`)) as Record<
    string,
    new (data: unknown) => { validate(): void }
  >;
  new models[manifest.kind]!(manifest).validate();
}

describe('the manifests for Kubernetes', () => {
  it.each(manifests.map(manifest => [manifest.kind, manifest.metadata.name, manifest] as const))(
    '%s %s fits its schema',
    async (_kind, _name, manifest) => {
      await validate(manifest);
    }
  );

  it('a field of the wrong type does not fit', async () => {
    const deployment = of('Deployment');
    await expect(validate({ ...deployment, spec: { ...deployment.spec, replicas: '3' } })).rejects.toThrow('replicas');
  });

  it('leave enough time for preStop, delayMs and drainMs, and use no affinity', () => {
    const text = readFileSync('examples/kubernetes/README.md', 'utf8');
    const [, delayMs, drainMs] = /delayMs: ([\d_]+), drainMs: ([\d_]+)/
      .exec(text)!
      .map(each => Number(each.replaceAll('_', '')));
    const { template } = of('Deployment').spec as {
      template: {
        spec: {
          terminationGracePeriodSeconds: number;
          containers: { lifecycle: { preStop: { exec: { command: string[] } } } }[];
        };
      };
    };
    const preStop = Number(template.spec.containers[0]!.lifecycle.preStop.exec.command[1]);
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThan(preStop + (delayMs! + drainMs!) / 1000);
    expect(of('Service').spec.sessionAffinity).toBe('None');
  });
});

it('the autoscaler uses the metric that the rule for the Prometheus adapter makes from one of the dashboard', () => {
  const [values] = loadAll(readFileSync('examples/kubernetes/prometheus-adapter.yaml', 'utf8')) as [
    { rules: { custom: { seriesQuery: string; name: { as: string } }[] } }
  ];
  const [rule] = values.rules.custom;
  const { metrics } = of('HorizontalPodAutoscaler').spec as { metrics: { pods: { metric: { name: string } } }[] };
  expect(metrics.map(({ pods }) => pods.metric.name)).toEqual([rule!.name.as]);
  // A test runs every query of the dashboard against a real Prometheus.
  const series = rule!.seriesQuery.split('{')[0]!;
  expect(readFileSync('examples/observability/dashboard.json', 'utf8')).toContain(`${series})`);
});

describe('the configurations for compose', () => {
  it('haproxy accepts its file, whose settings are those of the balancer tests', () => {
    const file = 'examples/compose/haproxy.cfg';
    execFileSync('haproxy', ['-c', '-f', file], { stdio: 'pipe' });
    const tested = readFileSync('test/balancers/balancer.ts', 'utf8');
    const [defaults] = readFileSync(file, 'utf8').split('resolvers');
    for (const line of defaults!.trim().split('\n').slice(1)) expect(tested).toContain(line.trim());
  });

  it('nginx proxies with the settings of the balancer tests', () => {
    const file = readFileSync('examples/compose/nginx.conf', 'utf8');
    const location = /location \/mcp \{(.*?)\}/s.exec(file)![1]!.trim().split('\n');
    expect(location.map(line => line.trim())).toEqual(['proxy_pass http://pods;']);
    expect(file).toContain('max_fails=1 fail_timeout=1s;');
  });

  it('compose.yaml has a policy that evicts nothing, and both balancers', () => {
    const [compose] = loadAll(readFileSync('examples/compose/compose.yaml', 'utf8')) as [
      { services: Record<string, { command?: string[] }> }
    ];
    expect(Object.keys(compose.services).sort()).toEqual(['haproxy', 'mcp', 'nginx', 'redis']);
    expect(compose.services.redis!.command).toContain('noeviction');
  });
});
