import ModelCore
import ModelInspection
import Testing

@Suite struct ParameterTableTests {
  @Test func rows() throws {
    let root = Module(
      ClassName("x", "Net"),
      parameters: [
        "module_list.weight": Parameter(try Tensor([1, 2, 3, 6], [2, 2])),
        "one": Parameter(try Tensor([-0.5]), requiresGrad: false), "none": Parameter(try Tensor(.float32, [0, 3])),
        "many": Parameter(try Tensor(.bfloat16, [1000, 1180])),
      ])
    // Python: '%5g %40s %9s %12g %20s %10.3g %10.3g' % (i, name, requires_grad, numel, list(shape), mean, std)
    #expect(
      try root.parameterTable().description == """
        layer                                     name  gradient   parameters                shape         mu      sigma
            0                                   weight      True            4               [2, 2]          3       2.16
            1                                      one     False            1                  [1]       -0.5        nan
            2                                     none      True            0               [0, 3]        nan        nan
            3                                     many      True     1.18e+06         [1000, 1180]          0          0
        """)
  }

  @Test func valuesAreRoundedToTheirType() throws {
    let values = try Tensor([0.1, 0.2, 0.4]).converted(to: .bfloat16)
    let row = try #require(StateDict(["w": values]).parameterTable().rows.first)
    let mu = try #require(row.mu)
    #expect(mu == Double(Float(bitPattern: Float(mu).bitPattern & 0xffff_0000)))
    #expect(abs(mu - 0.2333) < 0.002)  // a bfloat16 has eight bits: steps of 1/1024 there
  }
}
