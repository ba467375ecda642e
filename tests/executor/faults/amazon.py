"""Amazon's services as moto plays them, on loopback: what Murphy sends goes through the real boto3, and is checked."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from executor.model.system import Ec2Instance, Service, System
from tests.executor.faults.simulated_fis import SimulatedFis
from tests.executor.faults.simulated_group import SimulatedLaunches

REGION = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/murphy-fis"
_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "canary-key",
    "AWS_SECRET_ACCESS_KEY": "canary-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class _Silent(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing of it."""


class Amazon:
    """One region with a network of its own."""

    def __init__(self, endpoint: str, fis: SimulatedFis, launches: SimulatedLaunches) -> None:
        self.endpoint, self.fis, self.launches = endpoint, fis, launches
        self.ec2, self.scaling = self.client("ec2"), self.client("autoscaling")
        self.machines: list[str] = []
        self.scaled: list[str] = []
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a")
        self.subnet = subnet["Subnet"]["SubnetId"]
        self.groups = [self._group(name, port) for name, port in (("web", 80), ("metrics", 9100))]
        self.image = "ami-12c6146b"  # one of those that moto knows

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint)

    def _group(self, name: str, port: int) -> str:
        made = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"]
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[rule])
        return str(made)

    def machine(self, kind: str = "m5.large", tags: dict[str, str] | None = None) -> str:
        """A running instance with both groups, a second card with one of them, and a disk beside its root."""
        disk = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": True}}
        card = {"DeviceIndex": 0, "SubnetId": self.subnet, "Groups": self.groups, "AssociatePublicIpAddress": False}
        made = self.ec2.run_instances(
            ImageId=self.image,
            InstanceType=kind,
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[card],
            BlockDeviceMappings=[disk],
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": k, "Value": v} for k, v in (tags or {"made": "test"}).items()],
                }
            ],
        )
        machine = str(made["Instances"][0]["InstanceId"])
        self.machines.append(machine)
        second = self.ec2.create_network_interface(SubnetId=self.subnet, Groups=self.groups[:1])["NetworkInterface"]
        self.ec2.attach_network_interface(
            NetworkInterfaceId=second["NetworkInterfaceId"], InstanceId=machine, DeviceIndex=1
        )
        return machine

    def group(self, name: str = "web", size: int = 2, **launched: Any) -> list[str]:
        """An Auto Scaling group of so many instances with nothing but a root disk; returns them, in service."""
        given = {"ImageId": self.image, "InstanceType": "m5.large", "SecurityGroups": self.groups, **launched}
        self.scaling.create_launch_configuration(LaunchConfigurationName=name, **given)
        sizes = {"MinSize": 0, "MaxSize": size + 1, "DesiredCapacity": size}
        where = {"LaunchConfigurationName": name, "VPCZoneIdentifier": self.subnet}
        self.scaled.append(name)
        self.scaling.create_auto_scaling_group(AutoScalingGroupName=name, **where, **sizes)
        return self.serving(name)

    def serving(self, name: str = "web") -> list[str]:
        """Instances of a group that are in service and well."""
        (group,) = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        wanted = ("InService", "Healthy")
        return [i["InstanceId"] for i in group["Instances"] if (i["LifecycleState"], i["HealthStatus"]) == wanted]

    def end(self) -> None:
        """End the machines and groups that were made since the last time."""
        self.launches.looks, self.launches.stuck = 0, False
        for name in self.scaled:
            for each in self.scaling.describe_auto_scaling_instances()["AutoScalingInstances"]:
                own = {"InstanceId": each["InstanceId"], "DisableApiTermination": {"Value": False}}
                self.ec2.modify_instance_attribute(**own)
            for each in self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]:
                self.scaling.delete_auto_scaling_group(
                    AutoScalingGroupName=each["AutoScalingGroupName"], ForceDelete=True
                )
            self.scaling.delete_launch_configuration(LaunchConfigurationName=name)
        self.scaled.clear()
        if self.machines:
            self.ec2.terminate_instances(InstanceIds=self.machines)
        self.machines.clear()

    def about(self, machine: str) -> dict[str, Any]:
        return dict(self.ec2.describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0])

    def image_of(self, machine: str) -> dict[str, Any]:
        """All of an instance that a fault could change."""
        about = self.about(machine)
        cards = [
            (card["NetworkInterfaceId"], card["Attachment"]["DeviceIndex"], [g["GroupId"] for g in card["Groups"]])
            for card in about.get("NetworkInterfaces", ())
        ]
        disks = [
            (d["DeviceName"], d["Ebs"]["VolumeId"], d["Ebs"]["DeleteOnTermination"])
            for d in about["BlockDeviceMappings"]
        ]
        return {"state": about["State"]["Name"], "cards": sorted(cards, key=lambda c: c[1]), "disks": sorted(disks)}

    def all_groups(self) -> dict[str, Any]:
        """Every security group with its rules."""
        groups = self.ec2.describe_security_groups()["SecurityGroups"]
        return {g["GroupId"]: (g["GroupName"], g["IpPermissions"], g["IpPermissionsEgress"]) for g in groups}

    @staticmethod
    def instance(name: str, machine: str, endpoint: str) -> Ec2Instance:
        return Ec2Instance(id=name, instance=machine, region=REGION, endpoint=endpoint, fis_role=ROLE)

    def system(self, *machines: str, **more: Any) -> System:
        """A service ``web`` with these instances."""
        instances = tuple(self.instance(f"web-{n}", machine, self.endpoint) for n, machine in enumerate(machines, 1))
        return System(name="shop", services=(Service(name="web", instances=instances, **more),))


@contextmanager
def amazon() -> Iterator[Amazon]:
    """Such a server, with credentials in the environment as an operator would have them."""
    before = {name: os.environ.get(name) for name in _ACCOUNT}
    os.environ.update(_ACCOUNT)
    fis = SimulatedFis(DomainDispatcherApplication(create_backend_app), lambda: made.ec2)
    launches = SimulatedLaunches()
    server = make_server("127.0.0.1", 0, fis, threaded=True, request_handler=_Silent)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        made = Amazon(f"http://127.0.0.1:{server.server_port}", fis, launches)
        with launches.at_work():
            yield made
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
