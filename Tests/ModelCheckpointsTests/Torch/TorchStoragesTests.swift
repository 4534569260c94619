import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Persistent ids, and the storages behind them.
@Suite struct TorchStoragesTests {
  private static let sixteen = [UInt8](repeating: 1, count: 16)

  private func message(_ storage: [UInt8], _ storages: KeyValuePairs<String, [UInt8]> = ["0": sixteen]) -> String? {
    let root = Pickled.dict(["w": Pickled.tensor(of: storage, shape: [1])])
    return refusal { _ = try Checkpoint(Pickled.archive(Pickled.file(root), storages)) }
  }

  private func id(_ parts: [[UInt8]]) -> [UInt8] { Pickled.tuple(parts) + [0x51] }

  private static let float = Pickled.global("torch.FloatStorage")

  @Test func whatTheIdMustSay() {
    let (kind, key, cpu, four) = (Pickled.text("storage"), Pickled.text("0"), Pickled.text("cpu"), Pickled.int(4))
    #expect(message(id([kind, Self.float, key, cpu, four])) == nil)
    #expect(message(id([kind, Self.float, key, cpu, four, Pickled.none])) == nil)
    #expect(message(id([kind, Self.float, key, Pickled.text("cuda:3"), four])) == nil)
    let unknown = "the pickle describes a storage in an unknown way"
    let outside = "the pickle refers to something outside it that is no storage"
    let cases: [([UInt8], String)] = [
      (Pickled.none + [0x51], outside), (Pickled.text("storage") + [0x51], outside), (id([]), outside),
      (id([Pickled.int(1)]), outside), (id([kind]), unknown), (id([kind, Self.float, key, cpu]), unknown),
      (id([kind, Self.float, key, cpu, four, Pickled.none, Pickled.none]), unknown),
      (id([Pickled.text("tensor"), Self.float, key, cpu, four]), unknown),
      (id([kind, Pickled.text("FloatStorage"), key, cpu, four]), unknown),
      (id([kind, Self.float, Pickled.int(0), cpu, four]), unknown),
      (id([kind, Self.float, key, Pickled.none, four]), unknown),
      (id([kind, Self.float, key, cpu, Pickled.text("4")]), unknown),
      (
        id([kind, Self.float, key, cpu, four, Pickled.tuple([])]),
        "storage 0: is a view of another storage, as PyTorch before 0.4 wrote it"
      ),
      (
        id([kind, Pickled.global("some.FloatStorage"), key, cpu, four]),
        "storage 0: storages of class some.FloatStorage are not known"
      ),
      (
        id([kind, Pickled.global("torch.OddStorage"), key, cpu, four]),
        "storage 0: storages of class torch.OddStorage are not known"
      ),
      (id([kind, Self.float, key, cpu, Pickled.int(-1)]), "storage 0: has -1 elements"),
      (id([kind, Self.float, key, cpu, Pickled.int(.max)]), "storage 0: has 9223372036854775807 elements"),
      (id([kind, Self.float, key, cpu, Pickled.int(3)]), "archive/data/0: holds 16 bytes, the pickle says 12"),
      (id([kind, Self.float, key, cpu, Pickled.int(5)]), "archive/data/0: holds 16 bytes, the pickle says 20"),
      (id([kind, Self.float, Pickled.text("1"), cpu, four]), "archive/data/1: the archive lacks this storage"),
      (id([kind, Self.float, Pickled.text("../0"), cpu, four]), "archive/data/../0: the archive lacks this storage"),
    ]
    for (storage, reason) in cases {
      #expect(message(storage)?.contains(reason) == true, "\(message(storage) ?? "accepted"), not \(reason)")
    }
  }

  @Test func oneStorageIsNotDescribedInTwoWays() {
    func two(_ second: [UInt8]) -> String? {
      let root = Pickled.dict([
        "a": Pickled.tensor(key: "0", count: 4, shape: [1]), "b": Pickled.tensor(of: second, shape: [1]),
      ])
      return refusal { _ = try Checkpoint(Pickled.archive(Pickled.file(root), ["0": Self.sixteen])) }
    }
    #expect(two(Pickled.storage(key: "0", count: 4)) == nil)
    #expect(two(Pickled.storage(key: "0", count: 4, location: "cuda:0")) == nil)
    #expect(
      two(Pickled.storage("torch.IntStorage", key: "0", count: 4))?.contains("storage 0: is described in two ways")
        == true)
    #expect(two(Pickled.storage(key: "0", count: 3))?.contains("is described in two ways") == true)
  }

  @Test func archivesThatAreNoCheckpoints() {
    func message(_ members: [(String, [UInt8])]) -> String? {
      var zip = ZipBytes()
      for (name, data) in members { zip.add(name, data) }
      return refusal { _ = try Checkpoint(FileBytes(name: "test.pt", copying: zip.finished())) }
    }
    let pickle = Pickled.file(Pickled.emptyDict)
    let none = "test.pt: is a zip archive but not a PyTorch checkpoint: it holds no data.pkl"
    let elsewhere = "test.pt: holds a data.pkl that is not in the folder of its first member"
    #expect(message([]) == none)
    #expect(message([("a/other", [])]) == none)
    #expect(message([("data.pkl", pickle)]) == elsewhere)
    #expect(message([("a/b/data.pkl", pickle)]) == elsewhere)
    #expect(message([("b/other", []), ("a/data.pkl", pickle)]) == elsewhere)
    #expect(message([("a/data.pkl", pickle), ("b/data.pkl", pickle)]) == "test.pt: holds several data.pkl")
    #expect(
      message([("a/data.pkl", pickle), ("a/byteorder", Array("middle".utf8))])
        == "test.pt: a/byteorder: gives the byte order 'middle'")
    #expect(message([("a/data.pkl", [])])?.contains("a/data.pkl: the pickle is truncated: it has no STOP") == true)
  }

  /// Offsets in the pickle are told as offsets in the file.
  @Test func placesOfErrors() {
    var zip = ZipBytes()
    zip.add("a/data.pkl", [0x80, 2, 0x4e, 0xff])
    let offset = zip.members[0].dataOffset
    #expect(
      refusal { _ = try Checkpoint(FileBytes(name: "test.pt", copying: zip.finished())) }?
        .hasPrefix("test.pt: byte \(offset + 3): a/data.pkl: the pickle is damaged: opcode 0xff") == true)
  }

  @Test func bigEndianStoragesAreTurnedWordByWord() throws {
    let bytes: [UInt8] = [0x3f, 0x80, 0, 0, 0x40, 0, 0, 0]
    for (className, count, values) in [
      ("FloatStorage", 2, [1, 2]), ("LongStorage", 1, [0x3f80_0000_4000_0000]),
      ("ByteStorage", 8, bytes.map(Double.init)),
      ("ShortStorage", 4, [0x3f80, 0, 0x4000, 0]),
    ] {
      var zip = ZipBytes()
      let tensor = Pickled.tensor("torch.\(className)", key: "0", count: count, shape: [count])
      zip.add("a/data.pkl", Pickled.file(Pickled.dict(["w": tensor])))
      zip.add("a/byteorder", Array("big".utf8))
      zip.add("a/data/0", bytes)
      let state = try Checkpoint(FileBytes(name: "test.pt", copying: zip.finished())).preferred.stateDict()
      #expect(try state["w"]?.doubles() == values, "\(className)")
    }
  }
}
