import ModelCheckpoints
import ModelCore
import ModelGraph
import Testing

@testable import ModelONNX

@Suite struct ONNXTraceTests {
  @Test func shapesFollowWithValues() throws {
    // x [batch, 3, 4] as [batch, 12], by its own first length.
    let nodes = [
      ONNXNode("Shape", ["x"], ["s"]), ONNXNode("Gather", ["s", "zero"], ["n"]),
      ONNXNode("Unsqueeze", ["n"], ["u"], attributes: [ONNXAttribute("axes", [0])]),
      ONNXNode("Concat", ["u", "rest"], ["t"], attributes: [ONNXAttribute("axis", 0)]),
      ONNXNode("Reshape", ["x", "t"], ["y"]),
    ]
    let model = try model(
      nodes, opset: 11, inputs: [("x", .float32, [.symbol("batch"), .fixed(3), .fixed(4)])],
      weights: [("zero", try Tensor(integers: [0] as [Int], .int64, [])), ("rest", try whole([-1]))])
    #expect(try model.trace().types["y"]?.shape == [1, 12])
    var inputs = ONNXInputs()
    inputs.batchSize = 5
    let trace = try model.trace(inputs)
    #expect(trace.types["y"]?.shape == [5, 12] && trace.types["s"] == TensorType(.int64, [3]))
    #expect(trace.graph.nodes.count == 1 && trace.nodes.count == 5 && trace.unsized.isEmpty)
  }

  @Test func symbolsMeanTheSameEverywhere() throws {
    let model = try model(
      [ONNXNode("Add", ["a", "b"], ["y"])],
      inputs: [("a", .float32, [.symbol("n"), .fixed(2)]), ("b", .float32, [.symbol("n"), .fixed(2)])])
    var inputs = ONNXInputs()
    inputs.shapes = ["b": [7, 2]]
    #expect(try model.trace(inputs).types["y"]?.shape == [7, 2])
    inputs.shapes = ["b": [7, 2], "a": [3, 2]]
    #expect(throws: ModelError.self) { try model.trace(inputs) }
    inputs.shapes = ["c": [7, 2]]
    #expect(throws: ModelError.self) { try model.trace(inputs) }
  }

  @Test func picturesTakeTheirSizeFromTheModel() throws {
    var model = try model(
      [ONNXNode("Relu", ["x"], ["y"])],
      inputs: [("x", .float32, [.symbol("b"), .fixed(3), .symbol("h"), .symbol("w")])])
    #expect(try model.trace().types["y"]?.shape == [1, 3, 224, 224])
    model.metadata["imgsz"] = "[320, 416]"
    #expect(try model.trace().types["y"]?.shape == [1, 3, 320, 416])
    var inputs = ONNXInputs()
    inputs.imageSize = [64, 96]
    #expect(try model.trace(inputs).types["y"]?.shape == [1, 3, 64, 96])
  }

  @Test func unsortedNodesAreSorted() throws {
    let nodes = [ONNXNode("Relu", ["m"], ["y"]), ONNXNode("Abs", ["x"], ["m"])]
    let trace = try model(nodes, inputs: [("x", .float32, [.fixed(2)])], outputs: ["y"]).trace()
    #expect(trace.nodes.map(\.operation) == ["Relu", "Abs"])
    #expect(try trace.runnableGraph().reference([floats([-1, 2])])[0].floats() == [1, 2])
  }

  @Test func cyclesAndMissingValuesAreErrors() throws {
    let input: [(String, DType, [ONNXValueInfo.Dimension])] = [("x", .float32, [.fixed(2)])]
    let cycle = [ONNXNode("Add", ["x", "b"], ["a"]), ONNXNode("Relu", ["a"], ["b"])]
    #expect { try model(cycle, inputs: input).trace() } throws: { "\($0)".contains("follows from itself") }
    let selfCycle = [ONNXNode("Relu", ["a"], ["a"])]
    #expect { try model(selfCycle, inputs: input).trace() } throws: { "\($0)".contains("follows from itself") }
    let missing = [ONNXNode("Relu", ["nothing"], ["a"])]
    #expect { try model(missing, inputs: input).trace() } throws: {
      "\($0)".contains("takes nothing, which nothing makes")
    }
    let twice = [ONNXNode("Relu", ["x"], ["a"]), ONNXNode("Abs", ["x"], ["a"])]
    #expect { try model(twice, inputs: input).trace() } throws: { "\($0)".contains("made elsewhere") }
    #expect { try model([ONNXNode("Relu", ["x"], ["a"])], inputs: input, outputs: ["b"]).trace() } throws: {
      "\($0)".contains("gives b, which nothing makes")
    }
  }

  @Test func unknownOperatorsAreListedAndWhatFollows() throws {
    let nodes = [
      ONNXNode("Fancy", ["x"], ["f"], name: "first", domain: "my.own"), ONNXNode("Relu", ["f"], ["r"]),
      ONNXNode("Abs", ["x"], ["y"]),
    ]
    let trace = try model(nodes, inputs: [("x", .float32, [.fixed(2)])], outputs: ["y", "r"]).trace()
    #expect(
      trace.unsized.map(\.operation) == ["my.own.Fancy", "Relu"] && trace.unsized.map(\.isCause) == [true, false])
    #expect(trace.types["y"]?.shape == [2] && trace.outputs.map { $0.type?.shape } == [[2], nil])
    #expect { try trace.runnableGraph() } throws: { "\($0)".contains("first: my.own.Fancy: the operator is not known") }
  }

  @Test func declaredShapesStandInForUnknownOperators() throws {
    var model = try model(
      [ONNXNode("Fancy", ["x"], ["f"], domain: "my.own"), ONNXNode("Relu", ["f"], ["y"])],
      inputs: [("x", .float32, [.symbol("n")])])
    model.graph.valueInfo = [
      ONNXValueInfo("f", .float32, shape: [.symbol("n"), .fixed(3)]), ONNXValueInfo("y", .float32, shape: [.fixed(99)]),
    ]
    let trace = try model.trace()
    // What is inferred counts, not what is stale.
    #expect(trace.types["y"]?.shape == [1, 3] && trace.unsized.count == 1)
    #expect { try trace.runnableGraph() } throws: { "\($0)".contains("my.own.Fancy") }
  }

  @Test func weightsKeepTheirNamesBehindIdentity() throws {
    let weight = try counted([2, 3, 1, 1])
    let nodes = [ONNXNode("Identity", ["w"], ["v"]), ONNXNode("Conv", ["x", "v"], ["y"], name: "conv")]
    let trace = try model(
      nodes, inputs: [("x", .float32, [.fixed(1), .fixed(3), .fixed(4), .fixed(5)])], weights: [("w", weight)]
    ).trace()
    #expect(Array(trace.graph.weights.keys) == ["w"] && trace.macs == 120 && trace.nodes[1].macs == 120)
    #expect(trace.graph.scopes.contains { $0.path == "conv" })
  }

  @Test func branchesAreTakenByKnownConditions() throws {
    func branch(_ operation: String) -> ONNXGraph {
      ONNXGraph(
        name: operation, nodes: [ONNXNode(operation, ["x"], ["\(operation).out"])],
        outputs: [ONNXValueInfo("\(operation).out", .float32, shape: nil)])
    }
    let choice = ONNXNode(
      "If", ["c"], ["y"],
      attributes: [
        ONNXAttribute("then_branch", .graph(branch("Relu"))), ONNXAttribute("else_branch", .graph(branch("Abs"))),
      ])
    let inputs: [(String, DType, [ONNXValueInfo.Dimension])] = [("x", .float32, [.fixed(2)])]
    let known = try Tensor(integers: [0] as [Int], .bool, [])
    let trace = try model([choice], inputs: inputs, weights: [("c", known)]).trace()
    #expect(trace.graph.nodes.map(\.operation) == [.unary(.abs)])
    let open = try model([choice], inputs: inputs + [("c", .bool, [])]).trace()
    #expect(
      try open.runnableGraph().reference([floats([-1, 2]), Tensor(integers: [1] as [Int], .bool, [])])[0].floats()
        == [0, 2])
  }

  @Test func aBranchThatDoesNotFitIsNoCause() throws {
    func branch(_ node: ONNXNode) -> ONNXGraph {
      ONNXGraph(name: "b", nodes: [node], outputs: [ONNXValueInfo(node.outputs[0], .float32, shape: nil)])
    }
    let choice = ONNXNode(
      "If", ["c"], ["y"], name: "choice",
      attributes: [
        ONNXAttribute("then_branch", .graph(branch(ONNXNode("Relu", ["x"], ["a"])))),
        ONNXAttribute("else_branch", .graph(branch(ONNXNode("Fancy", ["x"], ["b"], domain: "my.own")))),
      ])
    let trace = try model([choice], inputs: [("x", .float32, [.fixed(2)]), ("c", .bool, [])]).trace()
    #expect(trace.unsized.map(\.name) == ["choice"])
    #expect(trace.unsized[0].reason.hasPrefix("which of its branches is taken depends on c, which is computed; "))
  }

  @Test func oneConstantServesAll() throws {
    let nodes = [
      ONNXNode("Add", ["x", "one"], ["a"]), ONNXNode("Mul", ["a", "one"], ["b"]), ONNXNode("Sub", ["b", "two"], ["y"]),
      ONNXNode("Identity", ["one"], ["two"]),
    ]
    let trace = try model(
      nodes, inputs: [("x", .float32, [.fixed(2)])], weights: [("one", floats([1, 2]))], outputs: ["y"]
    )
    .trace()
    #expect(trace.graph.definitions.count == 5)
    #expect(try trace.runnableGraph().reference([floats([3, 4])])[0].floats() == [3, 10])
  }

  @Test func hostileNodesAreUnsizedAndNothingElse() throws {
    let x = [1, 2, 8, 8]
    let weight = try counted([2, 2, 3, 3])
    let huge = 1 << 62
    func conv(_ name: String, _ values: [Int]) throws -> String? {
      try reason("Conv", x, weights: [weight], [ONNXAttribute(name, values)])
    }
    #expect(try conv("strides", [0, 1]) != nil)
    #expect(try conv("strides", [1]) != nil)
    #expect(try conv("dilations", [huge, huge]) != nil)
    #expect(try conv("pads", [huge, huge, huge, huge]) != nil)
    #expect(try conv("pads", [-huge, 0, 0, 0]) != nil)
    #expect(try conv("pads", [Int.min, 0, 0, 0]) != nil)
    #expect(try conv("kernel_shape", [5, 5]) != nil)
    for group in [0, -1, huge, Int.min] {
      #expect(try reason("Conv", x, weights: [weight], [ONNXAttribute("group", group)]) != nil)
    }
    #expect(try reason("Conv", [1, 2, 1, 1], weights: [weight]) != nil)
    #expect(try reason("ConvTranspose", x, weights: [weight], [ONNXAttribute("output_padding", [huge, 0])]) != nil)
    #expect(try reason("ConvTranspose", x, weights: [weight], [ONNXAttribute("strides", [huge, huge])]) != nil)
    #expect(try reason("MaxPool", x, [ONNXAttribute("kernel_shape", [huge, huge])]) != nil)
    #expect(try reason("MaxPool", x, [ONNXAttribute("kernel_shape", [0, 0])]) != nil)
    #expect(try reason("MaxPool", x, [ONNXAttribute("kernel_shape", Float(2))]) != nil)
    #expect(try reason("AveragePool", x) != nil)
    for shape in [[huge, huge], [huge], [-2], [-1, -1], [Int.min], [3]] {
      #expect(try reason("Reshape", x, weights: [whole(shape)]) != nil)
      #expect(try reason("Expand", [1], weights: [whole(shape)]) == nil || shape != [3])
    }
    #expect(try reason("Tile", x, weights: [whole([1, 1, huge, huge])]) != nil)
    #expect(try reason("Tile", x, weights: [whole([1, 1, 1, -1])]) != nil)
    #expect(try reason("Tile", x, weights: [whole([1, 1, 1, 100_000_000])]) == nil)
    for scale in [Float.nan, .infinity, 0, -1, 1e30] {
      #expect(try reason("Resize", opset: 13, x, weights: [floats([]), floats([1, 1, scale, scale])]) != nil)
    }
    #expect(try reason("Resize", opset: 13, x, weights: [floats([]), floats([1, 1])]) != nil)
    for axis in [4, -5, Int.min, Int.max] {
      #expect(try reason("Softmax", x, [ONNXAttribute("axis", axis)]) != nil)
      #expect(try reason("Flatten", x, [ONNXAttribute("axis", axis)]) != nil || axis == 4)
      #expect(try reason("Gather", x, weights: [whole([0])], [ONNXAttribute("axis", axis)]) != nil)
      #expect(try reason("Unsqueeze", x, weights: [whole([axis])]) != nil || axis == 4 || axis == -5)
      #expect(try reason("ReduceMean", x, [ONNXAttribute("axes", [axis])]) != nil)
      #expect(try reason("Slice", x, weights: [whole([0]), whole([1]), whole([axis])]) != nil)
      #expect(try reason("ArgMax", x, [ONNXAttribute("axis", axis)]) != nil)
    }
    #expect(try reason("Slice", x, weights: [whole([0]), whole([1]), whole([0]), whole([0])]) != nil)
    #expect(try reason("Slice", x, weights: [whole([Int.min]), whole([Int.max]), whole([2]), whole([Int.max])]) == nil)
    #expect(try reason("Slice", x, weights: [whole([Int.max]), whole([Int.min]), whole([2]), whole([Int.min])]) != nil)
    #expect(try reason("Transpose", x, [ONNXAttribute("perm", [0, 1, 2, huge])]) != nil)
    #expect(try reason("TopK", x, weights: [whole([huge])]) != nil)
    #expect(try reason("Pad", x, weights: [whole([Int](repeating: huge, count: 8))]) != nil)
    #expect(try reason("Pad", x, weights: [whole([Int](repeating: -9, count: 8))]) != nil)
    #expect(try reason("Split", x, weights: [whole([huge, huge])]) != nil)
    #expect(try reason("Concat", x, [ONNXAttribute("axis", 9)]) != nil)
    #expect(try reason("DepthToSpace", x, [ONNXAttribute("blocksize", huge)]) != nil)
    #expect(try reason("OneHot", x, weights: [whole([huge]), floats([0, 1])]) != nil)
    #expect(try reason("LRN", x, [ONNXAttribute("size", huge)]) != nil)
    #expect(
      try reason("GroupNormalization", x, weights: [floats([1]), floats([1])], [ONNXAttribute("num_groups", 0)]) != nil)
    #expect(try reason("Einsum", x, [ONNXAttribute("equation", "a->b")]) != nil)
    #expect(try reason("Einsum", x, [ONNXAttribute("equation", "....->")]) != nil)
    #expect(try reason("Cast", x, [ONNXAttribute("to", 99)]) != nil)
    #expect(try reason("Cast", x) != nil)
    #expect(try reason("Conv", x) != nil)
    for name in ["LSTM", "GRU", "RNN"] {
      let w = try counted([1, 4, 2])
      #expect(try reason(name, [1, 1, 2], weights: [w, w], [ONNXAttribute("hidden_size", huge)]) != nil)
    }
  }

  @Test func whatIsVastIsSizedAndNeverMade() throws {
    let nodes = [ONNXNode("ConstantOfShape", ["s"], ["y"])]
    let trace = try model(nodes, weights: [("s", try whole([1_000_000, 1_000_000]))]).trace()
    #expect(trace.types["y"]?.shape == [1_000_000, 1_000_000])
    let range = [ONNXNode("Range", ["a", "b", "c"], ["y"])]
    let bounds: [(Double, Double, Double)] = [(0, 1e30, 1), (0, 1, 0), (0, 1e9, 1), (.nan, 1, 1), (0, .infinity, 1)]
    for (start, limit, step) in bounds {
      let weights = try [("a", start), ("b", limit), ("c", step)].map {
        ($0.0, try ReferenceArray(TensorType(.float64, []), [$0.1]).tensor())
      }
      #expect(try model(range, weights: weights).trace().unsized.count == 1)
    }
  }

}
