"""Reed-Solomon over GF(2^8) the slow way: products bit by bit, equations solved by elimination."""

POLYNOMIAL = 0x11D


def times(left, right):
    """The product of two elements."""
    product = 0
    for bit in range(8):
        if right >> bit & 1:
            product ^= left << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= POLYNOMIAL << bit - 8
    return product


PRODUCTS = [[times(left, right) for right in range(256)] for left in range(256)]
INVERSES = [0, *(PRODUCTS[value].index(1) for value in range(1, 256))]


def matrix(data_count, parity_count):
    """The identity, then the Cauchy rows 1 / (row + column), where plus is exclusive or."""
    rows = [[int(row == column) for column in range(data_count)] for row in range(data_count)]
    for row in range(data_count, data_count + parity_count):
        rows.append([INVERSES[row ^ column] for column in range(data_count)])
    return rows


def combination(row, shards):
    """The sum of the shards, each times its coefficient."""
    total = bytearray(len(shards[0]))
    for coefficient, shard in zip(row, shards, strict=True):
        products = PRODUCTS[coefficient]
        for at, byte in enumerate(shard):
            total[at] ^= products[byte]
    return bytes(total)


def encode(data, parity_count):
    """The parity shards of data shards."""
    rows = matrix(len(data), parity_count)[len(data) :]
    return [combination(row, data) for row in rows]


def decode(there, data_count, parity_count):
    """The data shards, from any of `there` (by number) that are enough."""
    rows = matrix(data_count, parity_count)
    chosen = sorted(there)[:data_count]
    equations = [(list(rows[number]), bytes(there[number])) for number in chosen]
    for column in range(data_count):
        pivot = next(at for at in range(column, data_count) if equations[at][0][column])
        equations[column], equations[pivot] = equations[pivot], equations[column]
        inverse = INVERSES[equations[column][0][column]]
        equations[column] = _scaled(equations[column], inverse)
        for at in range(data_count):
            if at != column:
                factor = equations[at][0][column]
                equations[at] = _sum(equations[at], _scaled(equations[column], factor))
    return [shard for _, shard in equations]


def _scaled(equation, factor):
    products = PRODUCTS[factor]
    return [products[x] for x in equation[0]], bytes(products[x] for x in equation[1])


def _sum(left, right):
    return (
        [a ^ b for a, b in zip(left[0], right[0], strict=True)],
        bytes(a ^ b for a, b in zip(left[1], right[1], strict=True)),
    )
