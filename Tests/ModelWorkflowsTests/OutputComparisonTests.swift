import ModelCore
import ModelEngine
import ModelGraph
import ModelWorkflows
import TestSupport
import Testing

@Suite struct OutputComparisonTests {
  /// x · weight.
  private func scaling(_ weight: Float) throws -> Module {
    try Module.sequential([.conv2d(weight: Tensor([weight], [1, 1, 1, 1]))])
  }

  private let picture = try? Tensor([1, -4, 2, 0], [1, 1, 2, 2])

  @Test func differences() throws {
    let picture = try #require(picture)
    let comparison = try scaling(2).compareOutputs(with: scaling(2.5), inputs: [picture], tolerance: 0.25)
    #expect(comparison.maxAbs == 2 && comparison.maxRelative == 0.25 && comparison.holds)
    #expect(comparison.outputs.map(\.shape) == [[1, 1, 2, 2]] && comparison.outputs[0].name == "output.0")
    #expect(comparison.description == "the same within 0.25: at most 2 apart, relative 0.25")
    #expect(try !scaling(2).compareOutputs(with: scaling(2.5), inputs: [picture], tolerance: 0.2).holds)
    #expect(try scaling(2).compareOutputs(with: scaling(2), inputs: [picture], tolerance: 0).holds)
    // Nothing to be relative to.
    #expect(try scaling(0).compareOutputs(with: scaling(0.5), inputs: [picture]).maxRelative == 2)
  }

  @Test func whatIsNotFinite() throws {
    let picture = try #require(picture)
    let strange = try scaling(2).compareOutputs(with: scaling(.infinity), inputs: [picture])
    #expect(!strange.holds && strange.outputs[0].nonFinite == 4)
    #expect(strange.description.contains("and 4 elements are not finite on one side"))
    let nothing = try scaling(.nan).compareOutputs(with: scaling(.nan), inputs: [picture])
    #expect(nothing.holds && nothing.description.hasSuffix("; an output has no finite element"))
  }

  @Test func otherShapes() throws {
    let picture = try #require(picture)
    let wider = try Module.sequential([.conv2d(weight: Tensor([1, 2], [2, 1, 1, 1]))])
    #expect(
      refusal { _ = try scaling(1).compareOutputs(with: wider, inputs: [picture]) }?
        .contains("tensors of other shapes: [[1, 1, 2, 2]] and [[1, 2, 2, 2]]") == true)
  }

  @Test func profiles() throws {
    let profile = try scaling(3).profile([[1, 1, 5, 7]], runs: 4)
    #expect(profile.parameters == 1 && profile.inputs.map(\.shape) == [[1, 1, 5, 7]])
    #expect(profile.outputs.map(\.shape) == [[1, 1, 5, 7]] && profile.forward.seconds.count == 4)
    #expect(profile.steps.map(\.path) == ["0"] && profile.steps[0].macs == 35)
    let table = try ModelWorkflows.profile(
      [Tensor(.float32, [1, 1, 2, 2]), Tensor(.float32, [1, 1, 3, 3])], [scaling(1), scaling(2)], runs: 2)
    #expect(table.rows.map(\.input) == [[1, 1, 2, 2], [1, 1, 2, 2], [1, 1, 3, 3], [1, 1, 3, 3]])
  }

  @Test func backends() throws {
    let picture = try #require(picture)
    let graph = try scaling(3).evaluationGraph(for: [TensorType(.float32, [1, 1, 2, 2])])
    let plan = try Plan(graph, for: [TensorType(.float32, [1, 1, 2, 2])], on: .reference)
    #expect(plan.steps.map(\.implementation) == ["reference"])
    let session = try Session(plan)
    #expect(try session.run([picture])[0].floats() == [3, -12, 6, 0])
    #expect(try session.timed([picture]).count == 1)
    #expect(
      refusal {
        _ = try Plan(graph, for: [TensorType(.float32, [1, 1, 2, 2])], precision: .bfloat16, on: .reference)
      } != nil)
  }
}
