import Foundation
import ModelCheckpoints
import ModelCore
import SystemPackage
import TestSupport
import Testing

/// A checkpoint that would run something is data here, and is not passed on.
@Suite struct PickleSafetyTests {
  static let state = Pickled.dict(["w": Pickled.tensor(key: "0", count: 4, shape: [4])])

  /// A checkpoint with a state dict and one more object.
  private func checkpoint(_ extra: [UInt8]) throws -> Checkpoint {
    try Checkpoint(Pickled.file(Pickled.dict(["state_dict": Self.state, "extra": extra]), storage: 16))
  }

  private func writing(_ checkpoint: Checkpoint) throws -> String? {
    let folder = try TemporaryFolder()
    let message = refusal { _ = try checkpoint.write(to: folder["out.pt"]) }
    #expect(try folder.contents == (message == nil ? ["out.pt"] : []))
    return message
  }

  @Test func nothingIsExecuted() throws {
    for file in ["unsafe_system.pt", "unsafe_eval.pt"] {
      _ = try? Checkpoint(contentsOf: TorchFixtures.path(file))
      #expect(try !TorchFile(TorchFixtures.map(file)).graph.calls.isEmpty)
    }
    let here = FileManager.default.currentDirectoryPath
    for folder in [FilePath(here), TorchFixtures.folder] {
      #expect(!FileManager.default.fileExists(atPath: folder.appending("mutils-was-executed").string))
    }
  }

  @Test func aFileThatIsNothingButACommand() {
    let message = refusal { _ = try Checkpoint(contentsOf: TorchFixtures.path("unsafe_system.pt")) }
    #expect(message?.contains("unsafe_system.pt: holds no model") == true, "\(message ?? "accepted")")
  }

  @Test func aPayloadIsNotWrittenAgainButTheTensorsAre() throws {
    let folder = try TemporaryFolder()
    let checkpoint = try Checkpoint(contentsOf: TorchFixtures.path("unsafe_eval.pt"))
    #expect(
      refusal { _ = try checkpoint.write(to: folder["out.pt"]) }
        == "\(checkpoint.name): loading it in Python would call __builtin__.eval, so it is not written again; "
        + "write the tensors alone, with --state-dict or as .safetensors")
    #expect(try folder.contents == [])
    let records = try #require(try TorchFixtures.golden("unsafe_eval.pt").tensors)
    try checkpoint.write(to: folder["state.pt"], stateDictOnly: true)
    try expectTensors(Checkpoint(contentsOf: folder["state.pt"]).preferred.stateDict(), records)
    #expect(try TorchFile(FileBytes(mapping: folder["state.pt"])).graph.text.contains("eval") == false)
    try checkpoint.write(to: folder["state.safetensors"])
    try expectTensors(
      Checkpoint(contentsOf: folder["state.safetensors"]).preferred.stateDict(), records, ordered: false)
  }

  @Test(
    arguments: [
      "os.system", "posix.popen", "nt.system", "subprocess.Popen", "sys.exit", "runpy.run_path", "shutil.rmtree",
      "importlib.import_module", "builtins.eval", "builtins.exec", "builtins.compile", "builtins.open",
      "builtins.__import__", "__builtin__.eval", "__builtin__.execfile", "builtins.getattr", "operator.attrgetter",
      "_operator.methodcaller", "pickle.loads", "marshal.loads", "ctypes.CDLL", "socket.create_connection",
      "webbrowser.open", "os.path.os.system", "multiprocessing.util.spawnv_passfds",
    ])
  func functionsThatRunSomething(path: String) throws {
    let expected = "test.pt: loading it in Python would call \(path), so it is not written again; "
    // Called, made an object of, or merely named: a later call can pick it up.
    for extra in [
      Pickled.call(path, [Pickled.text("x")]), Pickled.object(path, []), Pickled.global(path),
      Pickled.list([Pickled.tuple([Pickled.global(path)])]),
      Pickled.object("some.Thing", [("f", Pickled.global(path))]),
    ] {
      #expect(try writing(try checkpoint(extra))?.hasPrefix(expected) == true, "\(path)")
    }
  }

  @Test(
    arguments: [
      "collections.OrderedDict", "builtins.set", "builtins.complex", "numpy.core.multiarray._reconstruct",
      "numpy.dtype",
      "pathlib.PosixPath", "argparse.Namespace", "models.yolo.DetectionModel", "osmium.SystemOfRocks",
      "functools.partial",
      "re._compile", "a.B._C", "torch.device", "torchvision.transforms.functional.InterpolationMode", "_codecs.encode",
      "copyreg._reconstructor", "datetime.datetime",
    ])
  func functionsThatMakeData(path: String) throws {
    #expect(try writing(try checkpoint(Pickled.call(path, [Pickled.text("x")]))) == nil, "\(path)")
  }

  /// Not known to do harm, but not known to do nothing either.
  @Test(
    arguments: [
      "operator.add", "zipfile.ZipFile", "pathlib.Path.touch", "osmium.system_of_rocks", "torch.from_file",
      "torch.utils.tensorboard.SummaryWriter", "numpy.memmap", "json.dump", "some.Thing.method", "mysubprocess.Popen",
      "logging.handlers.SocketHandler", "uuid.getnode", "tempfile.mkdtemp", "platform.popen", "io.open_code",
    ])
  func unknownFunctions(path: String) throws {
    let message = try writing(try checkpoint(Pickled.call(path, [Pickled.text("x")])))
    #expect(message?.contains("would call \(path), so") == true, "\(path): \(message ?? "written")")
  }

  /// A method that was looked up is called, by a call or by what Python does to fill an object.
  @Test func calledMethods() throws {
    let path = Pickled.call("copyreg._reconstructor", [Pickled.global("pathlib.PosixPath"), Pickled.none])
    // On what is not the model's own, nothing is looked up.
    #expect(
      try writing(try checkpoint(Pickled.call("builtins.getattr", [path, Pickled.text("unlink")])))?
        .contains("builtins.getattr") == true)
    let method = Pickled.call("builtins.getattr", [Pickled.object("some.Thing", []), Pickled.text("unlink")])
    #expect(try writing(try checkpoint(method)) == nil)
    #expect(try writing(try checkpoint(method + Pickled.tuple([]) + [0x52]))?.contains("what another call") == true)
    for name in ["__setstate__", "append"] {
      let object = Pickled.object("some.Thing", [(name, method)])
      let filled = name == "append" ? object + Pickled.text("x") + [0x61] : object
      #expect(try writing(try checkpoint(filled))?.contains("the \(name) that an object") == true, "\(name)")
    }
    #expect(try writing(try checkpoint(Pickled.object("some.Thing", [("append", method)]))) == nil)
  }

  /// Functions that call what they are given.
  @Test func functionsOfFunctions() throws {
    func refused(_ path: String, _ arguments: [UInt8]...) throws -> String? {
      try writing(try checkpoint(Pickled.call(path, arguments)))
    }
    let rebuild = "torch._tensor._rebuild_from_type_v2"
    #expect(try refused(rebuild, Pickled.global("some.function"), Pickled.none)?.contains("some.function") == true)
    #expect(try refused(rebuild, Pickled.global("torch._utils._set_obj_state"), Pickled.none) != nil)
    #expect(
      try refused(rebuild, Pickled.global("torch._utils._rebuild_tensor_v2"), Pickled.global("torch.Tensor")) == nil)
    let zip = Pickled.global("zipfile.ZipFile")
    #expect(try refused("copyreg._reconstructor", zip, zip)?.contains("zipfile.ZipFile") == true)
    #expect(try refused("copyreg.__newobj__", Pickled.call("some.Thing", [])) != nil)
    #expect(try refused("functools.partial", Pickled.call("some.Thing", [])) != nil)
    #expect(try refused("functools.partial", Pickled.global("torch.nn.modules.normalization.LayerNorm")) == nil)
    #expect(try refused("collections.defaultdict", Pickled.global("builtins.list")) == nil)
    #expect(try refused("collections.defaultdict", Pickled.global("builtins.eval")) != nil)
    let generator = "numpy.random._pickle.__generator_ctor"
    #expect(try refused(generator, Pickled.text("PCG64"), Pickled.global("os.system")) != nil)
    #expect(
      try refused(
        generator, Pickled.text("PCG64"), Pickled.global("numpy.random._pickle.__bit_generator_ctor")) == nil)
    #expect(try refused("builtins.type", Pickled.none) == nil)
    #expect(try refused("builtins.type", Pickled.text("A"), Pickled.tuple([]), Pickled.emptyDict) != nil)
    #expect(
      try refused("_operator.getitem", Pickled.global("typing.Optional"), Pickled.global("builtins.int")) == nil)
    #expect(try refused("_operator.getitem", Pickled.global("some.Thing"), Pickled.int(0)) != nil)
  }

  /// A key or a state that a call makes cannot be judged.
  @Test func statesThatCallsMake() throws {
    func filled(_ state: [UInt8]) -> [UInt8] { Pickled.call("some.Thing", []) + state + [0x62] }
    let key = Pickled.call("builtins.str", [Pickled.text("x")])
    #expect(try writing(try checkpoint(filled([0x7d, 0x28] + key + Pickled.none + [0x75]))) != nil)
    #expect(try writing(try checkpoint(filled(Pickled.call("builtins.dict", [Pickled.list([])])))) != nil)
    #expect(try writing(try checkpoint(filled(Pickled.emptyDict))) == nil)
  }

  /// A class in a class, as protocols up to 3 write it.
  @Test func nestedClasses() throws {
    let inner = Pickled.call("builtins.getattr", [Pickled.global("some.Net"), Pickled.text("Kind")])
    #expect(try writing(try checkpoint(inner + Pickled.tuple([Pickled.int(1)]) + [0x52])) == nil)
    let function = Pickled.call("builtins.getattr", [Pickled.global("some.Net"), Pickled.text("run")])
    #expect(try writing(try checkpoint(function + Pickled.tuple([]) + [0x52]))?.contains("some.Net.run") == true)
  }

  /// YOLO's own fused files hold `getattr(module, 'forward_fuse')`: a method of an object of the file.
  @Test func boundMethods() throws {
    let thing = Pickled.object("some.Thing", [])
    func getattr(_ arguments: [[UInt8]]) throws -> String? {
      try writing(try checkpoint(Pickled.call("builtins.getattr", arguments)))
    }
    #expect(try getattr([thing, Pickled.text("forward_fuse")]) == nil)
    #expect(try getattr([thing, Pickled.text("__class__")]) != nil)
    #expect(try getattr([thing, Pickled.text("system")]) != nil)
    #expect(try getattr([Pickled.global("some.Thing"), Pickled.text("Inner")]) == nil)
    #expect(try getattr([Pickled.global("some.module"), Pickled.text("os.system")]) != nil)
    #expect(try getattr([Pickled.global("os.path"), Pickled.text("join")]) != nil)
    #expect(try getattr([thing, Pickled.text("a"), Pickled.none]) != nil)
    #expect(try getattr([Pickled.call("some.make", []), Pickled.text("a")]) != nil)
    #expect(try getattr([thing, Pickled.int(1)]) != nil)
  }

  /// What surgery or a key cuts off is not written, and does not stand in the way.
  @Test func onlyWhatIsWrittenCounts() throws {
    let root = Pickled.call("os.system", [Pickled.text("x")]) + [0x30] + Self.state
    #expect(try writing(Checkpoint(Pickled.file(root, storage: 16))) == nil)
  }
}
