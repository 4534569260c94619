import ModelCheckpoints
import ModelCore

/// Parts of pickles as `torch.save` writes them.
enum Pickled {
  static let none: [UInt8] = [0x4e]
  static let emptyDict: [UInt8] = [0x7d]

  static func bool(_ value: Bool) -> [UInt8] { [value ? 0x88 : 0x89] }

  static func text(_ text: String) -> [UInt8] { [0x58] + littleEndian(UInt32(text.utf8.count)) + Array(text.utf8) }

  static func int(_ value: Int) -> [UInt8] { [0x8a, 8] + littleEndian(value) }

  static func double(_ value: Double) -> [UInt8] {
    [0x47] + withUnsafeBytes(of: value.bitPattern.bigEndian) { Array($0) }
  }

  static func tuple(_ items: [[UInt8]]) -> [UInt8] { [0x28] + items.flatMap { $0 } + [0x74] }

  static func list(_ items: [[UInt8]]) -> [UInt8] { [0x28] + items.flatMap { $0 } + [0x6c] }

  static func dict(_ entries: KeyValuePairs<String, [UInt8]>) -> [UInt8] {
    [0x28] + entries.flatMap { text($0.key) + $0.value } + [0x64]
  }

  static func dict(_ entries: [(String, [UInt8])]) -> [UInt8] {
    [0x28] + entries.flatMap { text($0.0) + $0.1 } + [0x64]
  }

  /// A class or function by its dotted path.
  static func global(_ path: String) -> [UInt8] {
    let parts = path.split(separator: ".")
    return Array("c\(parts.dropLast().joined(separator: "."))\n\(parts.last ?? "")\n".utf8)
  }

  static func call(_ path: String, _ arguments: [[UInt8]]) -> [UInt8] { global(path) + tuple(arguments) + [0x52] }

  static func storage(
    _ className: String = "torch.FloatStorage", key: String, count: Int, location: String = "cpu"
  ) -> [UInt8] {
    tuple([text("storage"), global(className), text(key), text(location), int(count)]) + [0x51]
  }

  static func tensor(
    _ className: String = "torch.FloatStorage", key: String, count: Int, offset: Int = 0, shape: [Int],
    strides: [Int]? = nil
  ) -> [UInt8] {
    tensor(of: storage(className, key: key, count: count), offset: offset, shape: shape, strides: strides)
  }

  static func tensor(of storage: [UInt8], offset: Int = 0, shape: [Int], strides: [Int]? = nil) -> [UInt8] {
    let strides = strides ?? Tensor.contiguousStrides(shape)
    return call(
      "torch._utils._rebuild_tensor_v2",
      [
        storage, int(offset), tuple(shape.map { int($0) }), tuple(strides.map { int($0) }), bool(false),
        call("collections.OrderedDict", []),
      ])
  }

  static func parameter(_ tensor: [UInt8], requiresGrad: Bool = true) -> [UInt8] {
    call("torch._utils._rebuild_parameter", [tensor, bool(requiresGrad), call("collections.OrderedDict", [])])
  }

  /// An object made by `__new__` and given a `__dict__`.
  static func object(_ path: String, _ state: [(String, [UInt8])]) -> [UInt8] {
    global(path) + [0x29, 0x81] + dict(state) + [0x62]
  }

  static func module(
    _ path: String, parameters: [(String, [UInt8])] = [], buffers: [(String, [UInt8])] = [],
    children: [(String, [UInt8])] = [], attributes: [(String, [UInt8])] = []
  ) -> [UInt8] {
    object(
      path,
      [
        ("training", bool(false)), ("_parameters", dict(parameters)), ("_buffers", dict(buffers)),
        ("_modules", dict(children)),
      ] + attributes)
  }

  static func file(_ body: [UInt8]) -> [UInt8] { [0x80, 2] + body + [0x2e] }

  /// A PyTorch file with the given pickle and storages.
  static func archive(_ pickle: [UInt8], _ storages: KeyValuePairs<String, [UInt8]> = [:]) -> FileBytes {
    var zip = ZipBytes()
    zip.add("archive/data.pkl", pickle)
    for (key, bytes) in storages { zip.add("archive/data/\(key)", bytes) }
    return FileBytes(name: "test.pt", copying: zip.finished())
  }

  /// A PyTorch file whose root is the given object, with one storage `0` of so many bytes.
  static func file(_ root: [UInt8], storage bytes: Int) -> FileBytes {
    archive(file(root), ["0": [UInt8](repeating: 0, count: bytes)])
  }

  /// Deflated data that is one stored block.
  static func storedDeflate(_ bytes: [UInt8]) -> [UInt8] {
    [1] + littleEndian(UInt16(bytes.count)) + littleEndian(~UInt16(bytes.count)) + bytes
  }

  static func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}

/// A zip archive in the making, every field of which can be made to lie.
struct ZipBytes {
  struct Member {
    var name: [UInt8]
    var data: [UInt8]
    var method: UInt16 = 0
    var flags: UInt16 = 0
    /// As the directory tells them.
    var storedSize: UInt32
    var size: UInt32
    var headerOffset: UInt32
    var disk: UInt16 = 0
    var extra: [UInt8] = []
    var dataOffset: Int
  }

  var bytes: [UInt8] = []
  var members: [Member] = []

  mutating func add(
    _ name: String, _ data: [UInt8], method: UInt16 = 0, flags: UInt16 = 0, size: Int? = nil
  ) {
    add(Array(name.utf8), data, method: method, flags: flags, size: size)
  }

  mutating func add(_ name: [UInt8], _ data: [UInt8], method: UInt16 = 0, flags: UInt16 = 0, size: Int? = nil) {
    let start = bytes.count
    let size = UInt32(size ?? data.count)
    bytes += [0x50, 0x4b, 3, 4] + little(20 as UInt16) + little(flags) + little(method) + [0, 0, 0x21, 0]
    bytes += little(0 as UInt32) + little(UInt32(data.count)) + little(size)
    bytes += little(UInt16(name.count)) + little(0 as UInt16) + name
    members.append(
      Member(
        name: name, data: data, method: method, flags: flags, storedSize: UInt32(data.count), size: size,
        headerOffset: UInt32(start), dataOffset: bytes.count))
    bytes += data
  }

  /// The directory's entry of a member.
  func entry(_ member: Member) -> [UInt8] {
    [0x50, 0x4b, 1, 2] + little(20 as UInt16) + little(20 as UInt16) + little(member.flags) + little(member.method)
      + [0, 0, 0x21, 0] + little(0 as UInt32) + little(member.storedSize) + little(member.size)
      + little(UInt16(member.name.count)) + little(UInt16(member.extra.count)) + little(0 as UInt16)
      + little(member.disk) + [UInt8](repeating: 0, count: 6) + little(member.headerOffset) + member.name + member.extra
  }

  /// The end record.
  func end(
    disk: UInt16 = 0, count: Int, total: Int? = nil, size: Int, offset: Int, comment: [UInt8] = [],
    commentLength: Int? = nil
  ) -> [UInt8] {
    [0x50, 0x4b, 5, 6] + little(disk) + little(disk) + little(UInt16(count)) + little(UInt16(total ?? count))
      + little(UInt32(size)) + little(UInt32(offset)) + little(UInt16(commentLength ?? comment.count)) + comment
  }

  func finished(comment: [UInt8] = []) -> [UInt8] {
    let directory = members.flatMap(entry)
    return bytes + directory
      + end(count: members.count, size: directory.count, offset: bytes.count, comment: comment)
  }

  private func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] { Pickled.littleEndian(value) }
}
