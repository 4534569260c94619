import Foundation
import ModelCheckpoints
import ModelCore
import SystemPackage
import TestSupport
import Testing

/// An output in shards is replaced whole or not at all.
@Suite struct ShardedWriterTests {
  private let folder: TemporaryFolder
  private let path: FilePath

  init() throws {
    folder = try TemporaryFolder()
    path = folder["m.safetensors"]
  }

  /// Tensors of ten bytes each, all of one value.
  private func state(_ count: Int, _ value: UInt8) throws -> StateDict {
    var state = StateDict()
    for index in 0..<count { state["t\(index)"] = try Tensor([UInt8](repeating: value, count: 10), [10]) }
    return state
  }

  @discardableResult private func write(_ state: StateDict, size: Int = 10) throws -> Int {
    try SafeTensors.writeSharded(state, to: path, maxShardSize: size)
  }

  /// What the index names: the number of tensors and their one value.
  private func standing() throws -> [UInt8] {
    let index = folder["m.safetensors.index.json"]
    let state = try SafeTensors.readSharded(index: FileBytes(mapping: index), path: index)
    return [UInt8(state.tensors.count)] + Array(Set(try state.tensors.values.flatMap { try $0.bytes() }))
  }

  private func names(_ prefix: String, _ count: Int) -> [String] {
    (1...count).map { "\(prefix)-0000\($0)-of-0000\(count).safetensors" } + ["m.safetensors.index.json"]
  }

  @Test func moreFilesThanAnybodyMeansAreRefused() throws {
    try write(state(500, 1))
    let earlier = try folder.contents
    #expect(earlier.count == 501)
    #expect(
      refusal { try write(state(501, 2)) }
        == "\(path): shards of 10 bytes would be 501 files; 500 is the most; give a larger size")
    #expect(try folder.contents == earlier)
  }

  @Test func namesArePlainWhereTheyAreFree() throws {
    for (count, value, prefix) in [(3, 1, "m"), (3, 2, "m-2"), (3, 3, "m"), (2, 4, "m"), (4, 5, "m"), (4, 6, "m-2")] {
      try write(state(count, UInt8(value)))
      #expect(try folder.contents == names(prefix, count).sorted())
      #expect(try standing() == [UInt8(count), UInt8(value)])
    }
    try write(state(4, 7), size: 100)
    #expect(try folder.contents == ["m.safetensors"])
    try write(state(3, 8))
    #expect(try folder.contents == names("m", 3).sorted())
  }

  @Test func whatSomebodyElsePutThereStays() throws {
    let others = [
      "m-00002-of-00003.safetensors", "m-2-00001-of-00003.safetensors", "m-3-00001-of-00002.safetensors",
      "m-x.safetensors",
    ]
    for other in others { try folder.write("precious", to: other) }
    try write(state(3, 1))
    try write(state(2, 2))
    try write(state(3, 3))
    #expect(try folder.contents == (others + names("m-3", 3)).sorted())
    for other in others { #expect(try FileBytes(mapping: folder[other]).array == Array("precious".utf8)) }
  }

  /// An index may name shards of any name, which are not ours to remove.
  @Test func shardsOfOtherNamesStay() throws {
    try SafeTensors.write(state(1, 1), to: folder["part.safetensors"])
    try folder.write(#"{"weight_map":{"t0":"part.safetensors"}}"#, to: "m.safetensors.index.json")
    try write(state(2, 2))
    #expect(try folder.contents == (names("m", 2) + ["part.safetensors"]).sorted())
    #expect(try standing() == [2, 2])
  }

  @Test func anUnreadableIndexIsReplaced() throws {
    try folder.write("{", to: "m.safetensors.index.json")
    try write(state(2, 2))
    #expect(try folder.contents == names("m", 2).sorted())
    #expect(try standing() == [2, 2])
  }

  @Test func theInputMayBeTheOutput() throws {
    try write(state(3, 1))
    let index = folder["m.safetensors.index.json"]
    let state = try SafeTensors.readSharded(index: FileBytes(mapping: index), path: index)
    try write(state)
    #expect(try standing() == [3, 1])
    #expect(try folder.contents == names("m-2", 3).sorted())
    #expect(try state["t2"]?.bytes() == [UInt8](repeating: 1, count: 10))
  }

  /// The n-th tensor cannot be read, while all before it are written.
  @Test(arguments: 0..<5, [10, 1000]) func aFailureChangesNothing(failing: Int, size: Int) throws {
    try write(state(5, 1))
    let before = try folder.contents
    var broken = try state(5, 2)
    broken["t\(failing)"] = try Tensor(computed: .uint8, [10]) { _ in throw ModelError(.system, "is gone") }
    #expect(refusal { try write(broken, size: size) }?.contains("is gone") == true)
    #expect(try folder.contents == before)
    #expect(try standing() == [5, 1])
  }

  /// While it writes, a writer of the same output is refused, whatever the number of its shards, and harms nothing.
  @Test func aSecondWriterIsRefused() throws {
    try write(state(3, 1))
    var slow = try state(3, 2)
    let (folder, path) = (folder, path)
    let others = [try state(3, 3), try state(2, 3), try state(1, 3)]
    slow["t2"] = try Tensor(computed: .uint8, [10]) { memory in
      for other in others {
        let message = refusal { try SafeTensors.writeSharded(other, to: path, maxShardSize: 10) }
        #expect(message == "\(path): is being written by another process")
      }
      memory.initializeMemory(as: UInt8.self, repeating: 2)
    }
    try write(slow)
    #expect(try folder.contents == names("m-2", 3).sorted())
    #expect(try standing() == [3, 2])
  }

  /// A killed writer leaves a record, parts, and perhaps shards that no index names.
  @Test(arguments: [10, 1000]) func whatAKilledWriterLeftIsRemoved(size: Int) throws {
    try write(state(2, 1))
    let numbers = try ["m-00001-of-00005.safetensors", "m-00002-of-00005.safetensors"].map { name in
      let path = try folder.write("whole", to: name)
      return "\(try number(path)) \(name)"
    }
    // Its number tells that this one was put there later.
    try folder.write("precious", to: "m-00003-of-00005.safetensors")
    let current = "m-00001-of-00002.safetensors"
    let lines =
      numbers + ["0 m-00003-of-00005.safetensors", "\(try number(folder[current])) \(current)", "1 ../x", "x", ""]
    let text = lines.joined(separator: "\0") + "12 m-0000"
    try folder.write(text, to: ".m.safetensors.mutils-shards")
    for name in ["m-00003-of-00005.safetensors", "m.safetensors", "m.safetensors.index.json"] {
      try folder.write("half", to: ".\(name).mutils-partial")
    }
    var broken = try state(3, 2)
    broken["t2"] = try Tensor(computed: .uint8, [10]) { _ in throw ModelError(.system, "is gone") }
    #expect(refusal { try write(broken, size: size) } != nil)
    #expect(try folder.contents == (names("m", 2) + ["m-00003-of-00005.safetensors"]).sorted())
    #expect(try standing() == [2, 1])
  }

  private func number(_ path: FilePath) throws -> Int {
    try #require(FileManager.default.attributesOfItem(atPath: path.string)[.systemFileNumber] as? Int)
  }

  /// A part that a process holds is being written.
  @Test func whatIsBeingWrittenStays() throws {
    let name = "m-00001-of-00005.safetensors"
    let file = try AtomicFile(replacing: folder[name])
    try folder.write("0 \(name)\0", to: ".m.safetensors.mutils-shards")
    try write(state(2, 1))
    #expect(try folder.contents == ([".\(name).mutils-partial"] + names("m", 2)).sorted())
    try file.commit()
    #expect(try folder.contents == (names("m", 2) + [name]).sorted())
  }

  @Test func aRecordThatIsALinkIsNotFollowed() throws {
    try folder.write("precious", to: "other")
    try FileManager.default.createSymbolicLink(
      atPath: folder[".m.safetensors.mutils-shards"].string, withDestinationPath: "other")
    #expect(refusal { try write(state(2, 1)) }?.contains("cannot be written") == true)
    #expect(try FileBytes(mapping: folder["other"]).array == Array("precious".utf8))
  }
}
