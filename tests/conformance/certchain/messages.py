"""The messages of transaction.proto by their descriptors: filling, reading, the canonical form."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "certchain.v1."


def schema(encoded: str):
    """Gives the classes of messages by name, from an encoded FileDescriptorProto."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(bytes.fromhex(encoded)))

    def message(name):
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(PACKAGE + name))

    return message


def fill(message, fields):
    """Sets the fields that are named, those of messages inside too."""
    for field in message.DESCRIPTOR.fields:
        if field.name not in fields:
            continue
        value = fields[field.name]
        if field.message_type:
            inner = getattr(message, field.name)
            if isinstance(value, list):
                for one in value:
                    fill(inner.add(), one)
            else:
                inner.SetInParent()
                fill(inner, value)
        elif isinstance(value, list):
            getattr(message, field.name).extend(scalar(field, one) for one in value)
        else:
            setattr(message, field.name, scalar(field, value))


def scalar(field, value):
    in_digits = field.type == field.TYPE_BYTES and isinstance(value, str)
    return bytes.fromhex(value) if in_digits else value


def canonical(kind, encoded):
    """The message encoded anew, without what is unknown."""
    message = kind.FromString(encoded)
    message.DiscardUnknownFields()
    return message.SerializeToString(deterministic=True)
