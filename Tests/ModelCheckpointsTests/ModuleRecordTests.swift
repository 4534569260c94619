import Foundation
import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// What a file of tensors keeps of the module that they are of.
@Suite struct ModuleRecordTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func tensor(_ count: Int, _ start: Float = 0) throws -> Tensor {
    try Tensor(.float32, [count]) { bytes in
      for (index, place) in bytes.bindMemory(to: Float.self).indices.enumerated() {
        bytes.bindMemory(to: Float.self)[place] = start + Float(index)
      }
    }
  }

  /// A tree with all that a record speaks of: a module in two places, a tied parameter, buffers of both kinds, attributes
  /// of every kind.
  private func net() throws -> Module {
    let tied = Parameter(try tensor(3, 5))
    let leaf = Module(
      ClassName("some.where", "Leaf"), isTraining: true,
      parameters: ["weight": Parameter(try tensor(2)), "tied": tied],
      buffers: ["mean": try tensor(4), "grid": try tensor(5, 9)],
      nonPersistentBuffers: ["grid"])
    let other = Module(
      ClassName("", "Other"), parameters: ["bias": Parameter(try tensor(1), requiresGrad: false), "tied": tied])
    let kinds: OrderedDictionary<String, Attribute> = [
      "none": .none, "bool": .bool(true), "int": .int(-3), "whole": .double(2), "double": .double(1e-5),
      "nan": .double(.nan),
      "inf": .double(-.infinity), "text": .string("é \"\n"), "list": .list([.int(1), .list([])]),
      "tuple": .tuple([.double(0.1)]),
      "size": .size([2, 0]), "dict": .dict([.init(key: .int(0), value: .string("a"))]),
      "ordered": .orderedDict([.init(key: .string("k"), value: .none)]), "set": .set([.int(1)]),
      "frozen": .frozenSet([]),
      "tensor": .tensor(.init(try tensor(3, 1))), "parameter": .tensor(.init(try tensor(1, 2), requiresGrad: false)),
      "method": .boundMethod("forward_fuse"), "function": .unboundMethod(ClassName("a.b", "C.D"), "f"),
      "opaque": .opaque("torch.nn.functional.silu"),
    ]
    return Module(
      ClassName("some.where", "Net"), children: ["first": leaf, "again": leaf, "other": other], attributes: kinds)
  }

  private func description(_ module: Module) -> [String] {
    var lines: [String] = []
    module.forEachModule { path, part in
      lines.append("\(path) \(part.className) \(part.isTraining) \(part.layer) \(part.nonPersistentBuffers)")
      lines += part.parameters.map { "  \($0.key) \($0.value.requiresGrad) \((try? $0.value.tensor.floats()) ?? [])" }
      lines += part.buffers.map { "  \($0.key) \((try? $0.value.floats()) ?? [])" }
      lines += part.attributes.map { name, value in
        if case .tensor(let held) = value {
          return "  \(name) \(String(describing: held.requiresGrad)) \((try? held.tensor.floats()) ?? [])"
        }
        return "  \(name) \(value)"
      }
    }
    return lines
  }

  @Test(arguments: ["net.safetensors", "net.pt"]) func wholeAgain(name: String) throws {
    let net = try net()
    try Checkpoint(net, name: "net").write(to: folder[name])
    let read = try Checkpoint(contentsOf: folder[name])
    let module = try #require(read.preferred.module)
    #expect(description(module) == description(net))
    #expect(module["first"]?.identity == module["again"]?.identity)
    #expect(module["first"]?.parameters["tied"]?.identity == module["other"]?.parameters["tied"]?.identity)
    #expect(!read.isWholeModule)
    // And once more, in the other format.
    for other in ["second.pt", "second.safetensors"] {
      try read.write(to: folder[other])
      #expect(description(try #require(Checkpoint(contentsOf: folder[other]).preferred.module)) == description(net))
    }
  }

  @Test func shards() throws {
    try Checkpoint(net(), name: "net").write(to: folder["net.safetensors"], maxShardSize: 8)
    let read = try Checkpoint(contentsOf: folder["net.safetensors.index.json"])
    #expect(description(try #require(read.preferred.module)) == description(try net()))
  }

  @Test func metadataStay() throws {
    var file = Checkpoint(try net(), name: "net")
    try file.write(to: folder["net.safetensors"])
    file = try Checkpoint(contentsOf: folder["net.safetensors"])
    #expect(file.metadata == ["format": "pt"])
    file.metadata["ema.updates"] = "3"
    try file.write(to: folder["net.safetensors"])
    #expect(try Checkpoint(contentsOf: folder["net.safetensors"]).metadata == ["format": "pt", "ema.updates": "3"])
    #expect(try SafeTensors.read(FileBytes(mapping: folder["net.safetensors"])).metadata?["mutils.module"] != nil)
  }

  /// Whoever changes the tensors and keeps the text has tensors, and no module.
  @Test func staleRecords() throws {
    try Checkpoint(net(), name: "net").write(to: folder["net.safetensors"])
    var state = try SafeTensors.read(FileBytes(mapping: folder["net.safetensors"]))
    state.remove("other.bias")
    try SafeTensors.write(state, to: folder["less.safetensors"])
    state["more"] = try tensor(1)
    state["other.bias"] = try tensor(1)
    try SafeTensors.write(state, to: folder["more.safetensors"])
    for name in ["less.safetensors", "more.safetensors"] {
      let read = try Checkpoint(contentsOf: folder[name])
      #expect(read.preferred.module == nil)
      #expect(read.metadata == ["format": "pt"])
    }
  }

  private func read(_ record: String) throws -> Checkpoint {
    let state = StateDict(["a": try tensor(1)], metadata: ["mutils.module": record])
    try SafeTensors.write(state, to: folder["x.safetensors"])
    return try Checkpoint(contentsOf: folder["x.safetensors"])
  }

  private static let plain = #"{"class":["m","C"],"parameters":{"a":true}}"#

  @Test func smallest() throws {
    let module = try #require(try read(#"{"version":1,"later":[{}],"module":\#(Self.plain)}"#).preferred.module)
    #expect(module.className == ClassName("m", "C") && module.parameters["a"]?.requiresGrad == true)
  }

  @Test(arguments: [
    "", "{}", "[]", #"{"version":1}"#, #"{"version":2,"module":\#(plain)}"#, #"{"version":1,"module":\#(plain)}x"#,
    #"{"version":1,"module":{"parameters":{"a":true}}}"#,
    #"{"version":1,"module":{"class":["m"],"parameters":{"a":true}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"parameters":{"a":1}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"parameters":{"a":"b"}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"parameters":{"b":true}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"buffers":["a"],"children":{"x":"nowhere"}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"buffers":["a"],"attributes":{"x":{"what":1}}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"buffers":["a"],"attributes":{"x":{"dict":[1]}}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"buffers":["a"],"attributes":{"x":{"size":[1.5]}}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"buffers":["a"],"attributes":{"x":{"tensor":["float32",[2],"AAAA"]}}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"buffers":["a"],"attributes":{"x":{"tensor":["float32",[-1],""]}}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"buffers":["a"],"attributes":{"x":{"tensor":["float99",[1],"AAAAAA=="]}}}}"#,
    #"{"version":1,"module":{"class":["m","C"],"buffers":["a"],"transient":{"x":["float32",[4611686018427387904,4],""]}}}"#,
  ]) func malformed(record: String) throws {
    let file = try read(record)
    #expect(file.preferred.module == nil && file.preferred.stateDict().names == ["a"])
  }

  /// Modules that stand in each other's places many times would unfold to more than memory holds.
  @Test func sharedModulesAreCounted() throws {
    var text = #"{"class":["m","C"]}"#
    for level in 0..<30 {
      let path = String(repeating: ".a", count: 29 - level) + ".a"
      text = #"{"class":["m","C"],"children":{"a":\#(text),"b":"\#(path.dropFirst())"}}"#
    }
    let module = #"{"class":["m","C"],"parameters":{"a":true},"children":{"a":\#(text)}}"#
    #expect(try read(#"{"version":1,"module":\#(module)}"#).preferred.module == nil)
    let deep = (0..<60).reduce(Self.plain) { inner, _ in #"{"class":["m","C"],"children":{"x":\#(inner)}}"# }
    #expect(try read(#"{"version":1,"module":\#(deep)}"#).preferred.module == nil)
  }

  /// What cannot be described is written without a description.
  @Test func tooLarge() throws {
    var net = try net()
    net.attributes["large"] = .tensor(.init(try Tensor(.float32, [5 << 20])))
    try Checkpoint(net, name: "net").write(to: folder["net.safetensors"])
    #expect(try Checkpoint(contentsOf: folder["net.safetensors"]).preferred.module == nil)
    var deep = Module(ClassName("m", "Leaf"), parameters: ["a": Parameter(try tensor(1))])
    for _ in 0..<60 { deep = Module(ClassName("m", "C"), children: ["x": deep]) }
    try Checkpoint(deep, name: "deep").write(to: folder["deep.safetensors"])
    #expect(try Checkpoint(contentsOf: folder["deep.safetensors"]).preferred.module == nil)
  }
}
