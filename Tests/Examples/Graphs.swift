import ModelUtils
import Testing

@Suite struct Graphs {
  @Test func reading() throws {
    let net = try smallNet()

    let graph = try Graph(net)
    let types = try graph.types(of: [TensorType(.float32, [1, 3, 8, 8])])
    for node in graph.nodes {
      print(graph.scopes[node.scope].path, node.operation, types[node.results[0]])
    }
    #expect(graph.nodes.count == 6)
    #expect(types[graph.outputs[0]] == TensorType(.float32, [1, 2]))

    for value in graph.nodes[0].operands {
      switch graph.definitions[value.index] {
      case .input(let name): print("the input", name)
      case .weight(let path): print("the weight", path, graph.weights[path]?.tensor.shape ?? [])
      case .constant(let tensor): print("the constant", tensor)
      case .result(let node, let position): print("result", position, "of node", node)
      }
    }
    #expect(graph.producer(of: graph.outputs[0]) == 5)
    #expect(graph.users()[graph.inputs[0].index] == [0])
  }

  @Test func running() throws {
    let net = try smallNet()
    let graph = try Graph(net)
    let picture = try Tensor((0..<192).map { Float($0) / 192 }, [1, 3, 8, 8])

    let outputs = try graph.reference([picture])
    let activations = try graph.reference([picture], of: graph.outputs(ofModule: "2"))
    #expect(outputs[0].shape == [1, 2])
    #expect(activations[0].shape == [1, 4, 8, 8])

    let plan = try Plan(graph, for: [TensorType(.float32, [1, 3, 8, 8])])
    let session = try Session(plan)
    let results = try session.run([picture])
    #expect(try results[0].isClose(to: outputs[0], relative: 1e-4, absolute: 1e-6))

    let cache = PlanCache(capacity: 4) { types in try net.evaluationGraph(for: types) }
    let small = try cache.run([picture])
    #expect(try small[0].isClose(to: results[0], relative: 0))

    let once = try net.run([picture])
    let profile = try net.profile([[1, 3, 8, 8]], runs: 3)
    print(profile.forward, profile.steps.map(\.implementation))
    let table = try ModelUtils.profile([picture], [net, net.fused()], runs: 3)
    print(table)
    #expect(try once[0].isClose(to: results[0], relative: 0))
    #expect(profile.forward.seconds.count == 3 && table.rows.count == 2)
    #expect(
      try Session(Plan(graph, for: [TensorType(.float32, [1, 3, 8, 8])], on: .reference)).run([picture]).count == 1)

    let comparison = try net.compareOutputs(with: net.fused(), inputs: [picture])
    guard comparison.holds else { throw ModelError(.mismatch, "fusing changed what the network computes") }
  }

  @Test func inTraining() throws {
    var net = try smallNet()
    let batch = try Tensor((0..<384).map { Float($0) / 384 }, [2, 3, 8, 8])

    var graph = try Graph(net, mode: .training)
    let names = Array(graph.updates.keys)
    let new = try graph.reference([batch], of: Array(graph.updates.values))
    for (name, tensor) in zip(names, new) { graph.weights[name]?.tensor = tensor }
    net.setWeights(of: graph)
    #expect(names.contains("1.running_mean"))
    #expect(try net["1"]?.buffers["running_mean"]?.floats()[0] != 0.25)
  }

  @Test func ofASize() throws {
    let net = try smallNet()

    let graph = try Graph(net, inputs: [TensorType(.float32, [1, 3, 224, 224])])
    if let shapes = graph.inputShapes { print("holds for inputs of", shapes, "alone") }
    for omission in graph.omissions { print(omission.path, "is left out:", omission.reason) }
    #expect(graph.omissions.isEmpty)
  }

  @Test func ofOnesOwnClass() throws {
    Forward.register([
      "mynet.blocks.Residual": Forward { block, x in
        let y = try block.relu(block(x, "conv", "bn"))
        return try block.add(x, block.multiply(y, block.double("gain")))
      }
    ])

    var block = Module(ClassName("mynet.blocks", "Residual"))
    block.children["conv"] = try .conv2d(weight: Tensor([2], [1, 1, 1, 1]))
    block.children["bn"] = try .batchNorm2d(1)
    block.attributes["gain"] = .double(0.5)
    let picture = try Tensor([1, -1], [1, 1, 1, 2])
    let outputs = try Graph(block).reference([picture])
    #expect(try outputs[0].isClose(to: Tensor([2, -1], [1, 1, 1, 2]), relative: 1e-4))
    #expect(try block.fuse().fused.count == 1)
    #expect(try Graph(block).reference([picture])[0].isClose(to: outputs[0], relative: 1e-6))
  }

  @Test func builtByHand() throws {
    var graph = Graph()
    let pixels = graph.addInput("pixels")
    let weight = graph.addWeight("fc.weight", Graph.Weight(tensor: try Tensor([1, -1, 2, 0.5], [2, 2])))
    let hidden = try graph.call("fc", [pixels]) { [try $0.emit(.linear, pixels, weight)] }
    graph.outputs = [try graph.emit(.unary(.relu), hidden[0])]
    #expect(try graph.reference([Tensor([1, 2], [1, 2])])[0].floats() == [0, 3])
  }
}
