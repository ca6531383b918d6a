"""Discovery of EC2 and ECS, STS and workspaces beside moto, which answers as AWS does. scripts/test installs it beside
the build."""
import os
import subprocess

from amp_tests import check, pilotfish
from discovery_tests import api
from hostile import Skipped
from parts import free_port, process, until

REGION = "eu-west-1"

# Run by moto's own Python, which has boto3.
SETUP = """
import boto3, sys
keys = dict(region_name="eu-west-1", aws_access_key_id="k", aws_secret_access_key="s", endpoint_url=sys.argv[1])
ec2, ecs = boto3.client("ec2", **keys), boto3.client("ecs", **keys)
image = ec2.describe_images()["Images"][0]["ImageId"]
for name, team in ("one", "a"), ("two", "b"), ("gone", "a"):
    made = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.small", TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}, {"Key": "team", "Value": team}]}])
    instance = made["Instances"][0]
    if name == "gone":
        ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    print("instance", name, instance["InstanceId"], instance["PrivateIpAddress"])
subnet = ec2.describe_subnets()["Subnets"][0]
group = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}])["SecurityGroups"][0]
network = {"awsvpcConfiguration": {"subnets": [subnet["SubnetId"]], "securityGroups": [group["GroupId"]]}}
ecs.create_cluster(clusterName="shop", tags=[{"key": "stage", "value": "test"}])
ecs.register_task_definition(
    family="web", networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
    containerDefinitions=[{"name": "app", "image": "app:1", "cpu": 256, "memory": 512}])
ecs.create_service(cluster="shop", serviceName="web", taskDefinition="web", desiredCount=2, launchType="FARGATE",
                   networkConfiguration=network)
for task in ecs.run_task(cluster="shop", taskDefinition="web", count=2, launchType="FARGATE", group="service:web",
                         networkConfiguration=network)["tasks"]:
    details = {d["name"]: d["value"] for d in task["attachments"][0]["details"]}
    print("task", task["taskArn"], details.get("networkInterfaceId"), details["privateIPv4Address"])
"""


# A role, and a workspace as the control plane of Amazon Managed Service for Prometheus describes it.
ACCOUNT = """
import boto3, sys
keys = dict(region_name="eu-west-1", aws_access_key_id="k", aws_secret_access_key="s", endpoint_url=sys.argv[1])
boto3.client("iam", **keys).create_role(RoleName="writer", AssumeRolePolicyDocument="{}")
amp = boto3.client("amp", **keys)
made = amp.create_workspace(alias="test")["workspaceId"]
print(made, amp.describe_workspace(workspaceId=made)["workspace"]["prometheusEndpoint"])
"""


def moto():
    """The folder of moto's programs."""
    programs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.build/moto/bin")
    if not os.access(os.path.join(programs, "moto_server"), os.X_OK):
        raise Skipped("needs moto (scripts/test installs it)")
    return programs


def run(programs, script, url):
    """The words of each line that the script prints, run by moto's own Python."""
    output = subprocess.run([os.path.join(programs, "python3"), "-c", script, url], check=True, capture_output=True,
                            text=True, timeout=120).stdout
    return [line.split() for line in output.splitlines() if line]


def test_identities_beside_moto(folder):
    """A role that is assumed and a web identity are who STS says; a workspace is found by what describes it."""
    programs, port = moto(), free_port()
    url = f"http://127.0.0.1:{port}"
    with process([os.path.join(programs, "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
                 os.path.join(folder.path, "moto.log"), f"{url}/moto-api/"):
        (workspace, endpoint), = run(programs, ACCOUNT, url)
        role = "arn:aws:iam::123456789012:role/writer"
        token = os.path.join(folder.path, "token")
        with open(token, "w") as file:
            file.write("header.claims.signature")
        keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL_STS": url}
        identity = {"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": role, "AWS_ENDPOINT_URL_STS": url}
        where = [f"--workspace={url}/workspaces/{workspace}", f"--region={REGION}"]
        for arguments, variables in (([f"--role-arn={role}"], keys), ([], identity)):
            steps = check(folder, *where, *arguments, **variables)
            assert steps["credentials"]["state"] == steps["account"]["state"] == "ok", steps
            assert "arn:aws:sts::123456789012:assumed-role/writer/" in steps["account"]["seen"], steps
        for given in (endpoint, workspace):
            status, output, errors = pilotfish(
                folder, "amp", "query", f"--workspace={given}", "--curl", "up", AWS_REGION=REGION, **keys)
            assert status == 0, errors
            whole = f"https://aps-workspaces.{REGION}.amazonaws.com/workspaces/{workspace}/api/v1/query?query=up"
            assert whole in output, (endpoint, output)


def test_discovery_beside_moto(folder):
    """Instances by their tags, and the tasks of a service on Fargate; all labels are those that moto shows."""
    programs, port, own = moto(), free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    jobs = {
        "all": f"ec2_sd_configs: [{{region: {REGION}, endpoint: '{url}', access_key: k, secret_key: s, port: 9100",
        "team": f"ec2_sd_configs: [{{region: {REGION}, endpoint: '{url}', access_key: k, secret_key: s, "
                "filters: [{name: 'tag:team', values: [a]}, {name: instance-state-name, values: [running]}]",
        "tasks": f"ecs_sd_configs: [{{region: {REGION}, endpoint: '{url}', access_key: k, secret_key: s, port: 9404",
    }
    config = "scrape_configs:\n" + "".join(
        f"- job_name: {name}\n  {job}, refresh_interval: 1s}}]\n" for name, job in jobs.items())
    with process([os.path.join(programs, "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
                 os.path.join(folder.path, "moto.log"), f"{url}/moto-api/"):
        lines = run(programs, SETUP, url)
        instances = {line[1]: line[2:] for line in lines if line[0] == "instance"}
        tasks = {line[3]: line[1] for line in lines if line[0] == "task"}
        with folder.agent(own, config):
            def found(job):
                return {t["discoveredLabels"]["__address__"]: t["discoveredLabels"]
                        for t in api(own)["activeTargets"] if t["scrapePool"] == job}
            one, two = instances["one"], instances["two"]
            until("the instances of one team are found", lambda: set(found("team")) == {f"{one[1]}:80"})
            until("all instances are found", lambda: {f"{one[1]}:9100", f"{two[1]}:9100"} <= set(found("all")))
            until("the tasks are found", lambda: set(found("tasks")) == {f"{address}:9404" for address in tasks})
            labels = found("all")[f"{two[1]}:9100"]
            for label, value in {"instance_id": two[0], "private_ip": two[1], "tag_team": "b", "tag_Name": "two",
                                 "instance_type": "t3.small", "region": REGION, "instance_state": "running"}.items():
                assert labels[f"__meta_ec2_{label}"] == value, (label, labels)
            for address, labels in found("tasks").items():
                for label, value in {"task_arn": tasks[address.split(":")[0]], "cluster": "shop", "service": "web",
                                     "launch_type": "FARGATE", "network_mode": "awsvpc", "region": REGION,
                                     "tag_cluster_stage": "test"}.items():
                    assert labels.get(f"__meta_ecs_{label}") == value, (label, labels)
