import ModelArchitectures
import ModelCore
import ModelGraph
import TestSupport
import Testing

/// What Ultralytics' blocks compute between their modules, and what they refuse. Whole models are compared with the
/// originals' figures elsewhere.
@Suite struct UltralyticsForwardsTests {
  private func block(
    _ name: String, _ attributes: OrderedDictionary<String, Attribute> = [:],
    _ children: OrderedDictionary<String, Module> = [:]
  ) -> Module {
    let path = name.split(separator: ".")
    return Module(
      ClassName(
        (["ultralytics", "nn"] + path.dropLast().map(String.init)).joined(separator: "."), String(path[path.count - 1])),
      children: children, attributes: attributes)
  }

  private func conv(_ inputs: Int, _ outputs: Int, stride: Int = 1) -> Module {
    Make.conv(inputs, outputs, stride: stride)
  }

  private func list(_ children: [Module]) -> Module {
    Module(
      ClassName("torch.nn.modules.container", "ModuleList"), layer: .container,
      children: OrderedDictionary(uniqueKeysWithValues: children.enumerated().map { ("\($0)", $1) }))
  }

  private func layer(_ module: Module, from sources: Attribute) -> Module {
    var module = module
    module.attributes["f"] = sources
    return module
  }

  private func model(_ layers: Module...) -> Module {
    var all = list(layers)
    all.layer = .sequential
    return block("tasks.DetectionModel", [:], ["model": all])
  }

  private func outputs(_ module: Module, _ input: [Int]) throws -> [[Int]] {
    let graph = try Graph(module)
    let shapes = try graph.shapes(of: [input])
    return graph.outputs.map { shapes[$0.index] }
  }

  private func refusal(_ module: Module, _ input: [Int] = [1, 4, 6, 6]) -> String? {
    do { _ = try outputs(module, input) } catch { return "\(error)" }
    return nil
  }

  @Test func eitherPathOfABlock() throws {
    let children: OrderedDictionary = ["cv1": conv(4, 6), "cv2": conv(9, 5), "m": list([conv(3, 3)])]
    for path in ["modules.block.C2f", "modules.C2f", "modules.block.C3k2"] {
      #expect(try outputs(block(path, [:], children), [1, 4, 7, 5]) == [[1, 5, 7, 5]])
    }
    #expect(refusal(block("modules.conv.C2f", [:], children))?.contains("ultralytics.nn.modules.conv.C2f") == true)
  }

  @Test func fusionsTakeTheOutputThatTheyName() throws {
    let branches = block("modules.block.CBLinear", ["c2s": .list([.int(3), .int(5)])], ["conv": conv(4, 8)])
    func net(_ picks: Attribute) -> Module {
      model(
        layer(branches, from: .int(-1)), layer(conv(8, 4, stride: 2), from: .int(-1)),
        layer(block("modules.block.CBFuse", ["idx": picks]), from: .list([.int(0), .int(-1)])))
    }
    // The first layer's input has four channels, the second takes what the first gives only where that is one tensor.
    #expect(refusal(net(.list([.int(1)])))?.hasPrefix("model.1: takes") == true)
    func fork(_ picks: Attribute, _ target: Int) -> Module {
      model(
        layer(conv(4, 4), from: .int(-1)), layer(branches, from: .int(-1)),
        layer(conv(4, target, stride: 2), from: .int(0)),
        layer(block("modules.block.CBFuse", ["idx": picks]), from: .list([.int(1), .int(-1)])))
    }
    #expect(try outputs(fork(.list([.int(0)]), 3), [1, 4, 7, 5]) == [[1, 3, 4, 3]])
    #expect(try outputs(fork(.list([.int(1)]), 5), [1, 4, 7, 5]) == [[1, 5, 4, 3]])
    #expect(refusal(fork(.list([.int(1)]), 3))?.hasPrefix("model.3: cannot stack") == true)
    #expect(refusal(fork(.list([.int(2)]), 3)) == "model.3: takes an output that layer 1 does not have")
    #expect(refusal(fork(.list([]), 3)) == "model.3: takes an output that layer 1 does not have")
    #expect(refusal(fork(.none, 3))?.contains("has no usable attribute 'idx'") == true)
  }

  @Test func layersWithoutSources() throws {
    #expect(refusal(model(conv(4, 4))) == "model.0: has no usable attribute 'f'")
    #expect(refusal(model(layer(conv(4, 4), from: .int(-2))))?.contains("layer -2, which is none before it") == true)
    #expect(try outputs(model(), [1, 4, 1, 1]) == [[1, 4, 1, 1]])
  }

  @Test func areaAttention() throws {
    func attention(_ area: Int) -> Module {
      block(
        "modules.block.AAttn", ["num_heads": .int(2), "head_dim": .int(3), "area": .int(area)],
        ["qkv": conv(6, 18), "proj": conv(6, 6), "pe": conv(6, 6)])
    }
    for area in [1, 2, 7] { #expect(try outputs(attention(area), [2, 6, 7, 4]) == [[2, 6, 7, 4]]) }
    #expect(refusal(attention(3), [1, 6, 7, 4]) == "cannot divide 28 by 3")
    // Each area attends to its own positions alone.
    let graph = try Graph(attention(2))
    let shapes = try graph.shapes(of: [[1, 6, 4, 4]])
    let products = graph.nodes.filter { $0.operation == .matrixProduct }.map { $0.results[0] }
    #expect(products.map { shapes[$0.index] } == [[2, 2, 8, 8], [2, 2, 3, 8]])
  }

  @Test func numbersThatNoModelHas() {
    for hostile in [Attribute.int(.max), .int(.min), .int(1 << 40), .string("2"), .none] {
      let attention = block(
        "modules.block.Attention", ["num_heads": .int(2), "key_dim": hostile, "head_dim": .int(3)], ["qkv": conv(4, 4)])
      #expect(refusal(attention) == "ultralytics.nn.modules.block.Attention has no usable attribute 'key_dim'")
      #expect(refusal(block("modules.block.SPPF", ["n": hostile], ["cv1": conv(4, 4), "m": conv(4, 4)])) != nil)
      #expect(refusal(block("modules.block.CBLinear", ["c2s": .list([hostile])], ["conv": conv(4, 4)])) != nil)
    }
  }

  @Test func pictureLevelsMustBeAsManyAsTheHeadHas() {
    let head = block(
      "modules.head.Detect", [:], ["cv2": list([conv(4, 4), conv(4, 4)]), "cv3": list([conv(4, 3), conv(4, 3)])])
    #expect(refusal(head) == "takes 2 tensors, not 1")
    #expect(refusal(block("modules.head.Detect"))?.hasSuffix("has no child 'cv2'") == true)
    #expect(refusal(block("modules.head.RTDETRDecoder")) == "takes 0 tensors, not 1")
  }
}
