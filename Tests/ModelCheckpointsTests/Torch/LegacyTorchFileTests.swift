import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// The format before 1.6: pickles one after the other, then the storages.
@Suite struct LegacyTorchFileTests {
  private static let magic: [UInt8] =
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]

  private static let state = Pickled.dict(["w": Pickled.tensor(key: "7", count: 2, shape: [2])])

  private func file(
    magic: [UInt8] = Self.magic, version: Int = 1001, system: [UInt8]? = nil, object: [UInt8] = Self.state,
    keys: [UInt8]? = nil, count: Int = 2, data: [UInt8] = [0, 0, 128, 63, 0, 0, 0, 64]
  ) -> FileBytes {
    let system = system ?? Pickled.dict(["little_endian": Pickled.bool(true)])
    let keys = keys ?? Pickled.list([Pickled.text("7")])
    return FileBytes(
      name: "test.pt",
      copying: magic + Pickled.file(Pickled.int(version)) + Pickled.file(system) + Pickled.file(object)
        + Pickled.file(keys) + Pickled.littleEndian(count) + data)
  }

  private func message(_ file: FileBytes) -> String? { refusal { _ = try Checkpoint(file) } }

  @Test func theFormat() throws {
    let checkpoint = try Checkpoint(file())
    #expect(checkpoint.format == .torchLegacy)
    #expect(try checkpoint.preferred.stateDict()["w"]?.doubles() == [1, 2])
  }

  @Test func bigEndianMachines() throws {
    let system = Pickled.dict(["little_endian": Pickled.bool(false)])
    let state = try Checkpoint(file(system: system, data: [63, 128, 0, 0, 64, 0, 0, 0])).preferred.stateDict()
    #expect(try state["w"]?.doubles() == [1, 2])
  }

  /// A whole module's class is named together with its file and its source.
  @Test func classesWithTheirSource() throws {
    let named =
      Pickled.tuple([
        Pickled.text("module"), Pickled.global("some.Net"), Pickled.text("net.py"), Pickled.text("class Net: ..."),
      ]) + [0x51]
    let empty = Pickled.emptyDict
    let state = Pickled.dict([
      "_parameters": Pickled.dict(["w": Pickled.parameter(Pickled.tensor(key: "7", count: 2, shape: [2]))]),
      "_buffers": empty, "_modules": empty,
    ])
    let module = try Checkpoint(file(object: named + [0x29, 0x81] + state + [0x62])).preferred.module
    #expect(module?.className == ClassName("some", "Net"))
    #expect(try module?.parameters["w"]?.tensor.doubles() == [1, 2])
  }

  @Test func malformedFiles() {
    #expect(message(file(version: 1000))?.contains("the legacy protocol is not 1001") == true)
    #expect(
      message(file(magic: Pickled.file(Pickled.int(7)))) == "test.pt: is a pickle, but not one that torch.save wrote")
    #expect(message(file(keys: Pickled.none))?.contains("the list of storages is missing") == true)
    #expect(message(file(keys: Pickled.list([])))?.contains("storage 7 is missing") == true)
    let twice = Pickled.list([Pickled.text("7"), Pickled.text("7")])
    let names = "the list of storages names one twice, or one that no tensor uses"
    #expect(message(file(keys: twice))?.contains(names) == true)
    #expect(message(file(keys: Pickled.list([Pickled.text("8")])))?.contains(names) == true)
    #expect(message(file(keys: Pickled.list([Pickled.int(7)])))?.contains(names) == true)
    #expect(message(file(count: 3))?.contains("storage 7 holds 3 elements, the pickle says 2") == true)
    #expect(message(file(count: -1))?.contains("a size exceeds 2^63") == true)
    #expect(message(file(data: [0, 0, 128]))?.contains("the file is truncated") == true)
    #expect(message(file(object: Pickled.int(1) + [0x51]))?.contains("that is no storage") == true)
    #expect(
      message(file(system: Pickled.storage(key: "7", count: 2)))?.contains("something outside it that is no storage")
        == true)
  }
}
