"""Parts of a pod that a benchmark may set: passed on to Kubernetes in Kubernetes' own words."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field, GetJsonSchemaHandler, JsonValue
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from perbench.api.rules import ApiObject, ListMap, Rule
from perbench.api.schema import PRESERVED
from perbench.api.text import LABEL_KEY, OBJECT_NAME, PATH, QUANTITY, RESOURCE


@dataclass(frozen=True)
class Preserved:
    """An object of Kubernetes' own kind: the schema keeps whatever it holds, and a dry run of the pod checks it."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Any fields."""
        del schema, handler
        return {"type": "object", PRESERVED: True}


KubernetesObject = Annotated[dict[str, JsonValue], Preserved()]
ObjectName = Annotated[str, Field(pattern=OBJECT_NAME, min_length=1, max_length=253)]
Quantity = Annotated[str, Field(pattern=QUANTITY, min_length=1, max_length=32)]
ResourceName = Annotated[str, Field(pattern=RESOURCE, min_length=1, max_length=317)]
NodeSelector = Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=32)]
Tolerations = Annotated[tuple[KubernetesObject, ...], Field(max_length=16)]


class SecretKeyRef(ApiObject):
    """One key of a Secret in the benchmark's namespace. Only the pod that needs it reads it."""

    name: ObjectName
    """Name of the Secret."""
    key: Annotated[str, Field(pattern=LABEL_KEY, min_length=1, max_length=253)]
    """The key in it."""


class ObjectRef(ApiObject):
    """An object of the benchmark's namespace, by its name."""

    name: ObjectName
    """Its name; unique in the list."""


class Resources(ApiObject):
    """What a container asks for, in Kubernetes' quantities: `cpu: "2"`, `memory: 8Gi`."""

    requests: Annotated[dict[str, Quantity] | None, Field(max_length=16)] = None
    """What is set aside for it."""
    limits: Annotated[dict[str, Quantity] | None, Field(max_length=16)] = None
    """What it may use at most."""


class Accelerator(ApiObject):
    """The accelerators of one replica."""

    resource: ResourceName
    """The extended resource that counts them, such as `nvidia.com/gpu`, `amd.com/gpu` or `nvidia.com/mig-1g.10gb`."""
    count: Annotated[int, Field(ge=1, le=64)]
    """How many each replica gets. The server is told to use as many (tensor parallelism)."""
    product: Annotated[str | None, Field(min_length=1, max_length=63)] = None
    """The product that nodes must have by their label, such as `NVIDIA-A100-SXM4-80GB`. Default: any."""


class EmptyDirSpec(ApiObject):
    """Room on the node that goes with the pod."""

    size_limit: Quantity | None = None
    """How much it may hold, such as `100Gi`. Default: as much as the node has."""


class ModelCache(ApiObject):
    """Where model files are kept: exactly one of `claimName` and `emptyDir`."""

    claim_name: ObjectName | None = None
    """A PersistentVolumeClaim: files that are there are not downloaded again."""
    read_only: bool | None = None
    """Whether the claim is mounted read-only: all files must be there. Default false."""
    empty_dir: EmptyDirSpec | None = None
    """Room on the node that goes with the pod, so every start downloads again. The default."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="give exactly one of claimName and emptyDir",
            cel="has(self.claimName) != has(self.emptyDir)",
            holds=lambda c: (c.claim_name is None) != (c.empty_dir is None),
        ),
        Rule(
            message="readOnly goes with claimName only",
            cel="!has(self.readOnly) || has(self.claimName)",
            holds=lambda c: c.read_only is None or c.claim_name is not None,
            field="readOnly",
        ),
    )


class VolumePath(ApiObject):
    """A place on a PersistentVolumeClaim of the benchmark's namespace. It is mounted read-only."""

    claim_name: ObjectName
    """Name of the claim."""
    path: Annotated[str, Field(pattern=PATH, min_length=1, max_length=1024)]
    """Path on the volume, relative to its root, without `..`."""


class ConfigMapKey(ApiObject):
    """One key of a ConfigMap in the benchmark's namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Annotated[str, Field(pattern=LABEL_KEY, min_length=1, max_length=253)]
    """The key in it."""


PullSecrets = Annotated[tuple[ObjectRef, ...], Field(max_length=8), ListMap("name")]
