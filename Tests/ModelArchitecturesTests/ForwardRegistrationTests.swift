import ModelArchitectures
import ModelCore
import ModelGraph
import Testing

/// Forwards of a caller's own classes, through the public interface alone.
@Suite struct ForwardRegistrationTests {
  /// A block of a caller's own: twice a convolution's output, plus the input.
  private func block(_ className: ClassName) throws -> Module {
    let one = try Module.conv2d(weight: Tensor([3], [1, 1, 1, 1]))
    var block = Module(className)
    block.children["conv"] = one
    block.attributes["scale"] = .double(2)
    return block
  }

  @Test func whatIsRegisteredIsKnown() throws {
    let module = try block(ClassName("registered.blocks", "Doubled"))
    let unknown = #expect(throws: ModelError.self) { try Graph(module) }
    #expect(unknown?.description.contains("registered.blocks.Doubled") == true)

    Forward.register([
      "blocks.Doubled": Forward { block, x in
        try block.add(block.multiply(block(x, "conv"), block.double("scale")), x)
      }
    ])
    let picture = try Tensor([1, 2, 3, 4], [1, 1, 2, 2])
    #expect(try Graph(module).reference([picture])[0].floats() == [7, 14, 21, 28])
    // In training it is the same, unless it says otherwise.
    #expect(try Graph(module, mode: .training).reference([picture])[0].floats() == [7, 14, 21, 28])
  }

  @Test func registeringAgainReplaces() throws {
    let module = try block(ClassName("replaced", "Block"))
    let picture = try Tensor([1], [1, 1, 1, 1])
    for factor in [2.0, 5] {
      Forward.register(["replaced.Block": Forward { try $0.multiply($0($1, "conv"), factor) }.inferenceOnly])
      #expect(try Graph(module).reference([picture])[0].floats() == [Float(3 * factor)])
    }
    #expect(throws: ModelError.self) { try Graph(module, mode: .training) }
  }

  @Test func goesBeforeWhatTheLibraryKnows() throws {
    let module = try block(ClassName("a_fork.models.common", "Conv"))
    Forward.register(["a_fork.models.common.Conv": .chain("conv")])
    let picture = try Tensor([1], [1, 1, 1, 1])
    #expect(try Graph(module).reference([picture])[0].floats() == [3])
  }

  @Test func aForwardThatLeavesOutAChildIsRefused() throws {
    let module = try block(ClassName("leaving", "Block"))
    Forward.register(["leaving.Block": Forward { try $0.relu($1) }])
    let error = #expect(throws: ModelError.self) { try Graph(module) }
    #expect(error?.description.contains("never calls 'conv'") == true)
    Forward.register(["leaving.Block": Forward { try $0.relu($1) }.leaving("conv")])
    #expect(try Graph(module).nodes.count == 1)
  }

  @Test func whatIsMissingIsNamed() throws {
    let module = try block(ClassName("missing", "Block"))
    Forward.register([
      "missing.Block": Forward { block, x in try block.multiply(block(x, "conv"), block.double("gain")) }
    ])
    let error = #expect(throws: ModelError.self) { try Graph(module) }
    #expect(error?.kind == .missing)
    #expect(error?.description.contains("missing.Block has no usable attribute 'gain'") == true)
  }
}
