import ModelCheckpoints
import ModelCore
import Testing

/// Each opcode, and what the reader makes of it.
@Suite struct PickleReaderTests {
  @Test(
    arguments: [
      // Constants
      ("N.", "None"), ("\u{88}.", "True"), ("\u{89}.", "False"), ("I01\n.", "True"), ("I00\n.", "False"),
      ("I1\n.", "1"), ("I-12\n.", "-12"), ("I0\n.", "0"), ("K\u{ff}.", "255"), ("M\u{ff}\u{ff}.", "65535"),
      ("J\u{ff}\u{ff}\u{ff}\u{ff}.", "-1"), ("J\0\0\0\u{80}.", "-2147483648"), ("L12L\n.", "12"), ("L-3\n.", "-3"),
      ("L9223372036854775808L\n.", "9223372036854775808"), ("L-9223372036854775809L\n.", "-9223372036854775809"),
      ("\u{8a}\0.", "0"), ("\u{8a}\u{1}\u{ff}.", "-1"), ("\u{8a}\u{2}\u{ff}\0.", "255"),
      ("\u{8a}\u{8}\0\0\0\0\0\0\0\u{80}.", "-9223372036854775808"),
      ("\u{8a}\u{9}\0\0\0\0\0\0\0\u{80}\0.", "9223372036854775808"), ("\u{8b}\u{1}\0\0\0\u{7f}.", "127"),
      ("F1.5\n.", "0x3ff8000000000000"), ("F-inf\n.", "0xfff0000000000000"), ("F1e400\n.", "0x7ff0000000000000"),
      ("G?\u{f8}\0\0\0\0\0\0.", "0x3ff8000000000000"),
      // Text and bytes
      ("X\u{2}\0\0\0ab.", "'ab'"), ("\u{8c}\u{2}ab.", "'ab'"), ("\u{8d}\u{2}\0\0\0\0\0\0\0ab.", "'ab'"),
      ("\u{8c}\0.", "''"), ("\u{8c}\u{2}\u{c3}\u{a9}.", "uc3a9"), ("\u{8c}\u{3}\u{ed}\u{a0}\u{80}.", "ueda080"),
      ("Vab\n.", "'ab'"), ("V\\u00e9\\U0001f44d\n.", "uc3a9f09f918d"), ("V\u{e9}\n.", "uc3a9"), ("V\n.", "''"),
      ("V\\x\\\n.", "'\\x\\'"), ("V\\ud800\n.", "ueda080"),
      ("S'ab'\n.", "str 6162"), ("S\"a'b\"\n.", "str 612762"), ("S'\\n\\r\\t\\\\\\'\\x41'\n.", "str 0a0d095c2741"),
      ("S''\n.", "str "), ("U\u{2}ab.", "str 6162"), ("T\u{2}\0\0\0a\u{ff}.", "str 61ff"),
      ("C\u{2}ab.", "b6162"), ("B\u{2}\0\0\0ab.", "b6162"), ("\u{8e}\u{2}\0\0\0\0\0\0\0ab.", "b6162"),
      ("\u{96}\u{2}\0\0\0\0\0\0\0ab.", "bytearray 6162"),
      // Containers
      (").", "()"), ("N\u{85}.", "(None)"), ("K\u{1}K\u{2}\u{86}.", "(1, 2)"), ("NNN\u{87}.", "(None, None, None)"),
      ("(t.", "()"), ("(NN(Ntt.", "(None, None, (None))"), ("].", "[]"), ("(l.", "[]"), ("(K\u{1}l.", "[1]"),
      ("]K\u{1}a.", "[1]"), ("](K\u{1}K\u{2}e.", "[1, 2]"), ("](e.", "[]"), ("}.", "{}"), ("(d.", "{}"),
      ("(K\u{1}Nd.", "{1: None}"), ("}K\u{1}Ns.", "{1: None}"), ("}(K\u{1}NK\u{2}Nu.", "{1: None, 2: None}"),
      ("}(u.", "{}"), ("\u{8f}.", "set()"), ("\u{8f}(K\u{1}\u{90}.", "set(1)"), ("(K\u{1}\u{91}.", "frozenset(1)"),
      ("(\u{91}.", "frozenset()"),
      // Classes, calls, state
      ("cos\nsystem\n.", "os.system"), ("\u{8c}\u{2}os\u{8c}\u{6}system\u{93}.", "os.system"),
      ("c\u{c3}\u{a9}\nx\n.", "é.x"), ("cm\nf\n)R.", "m.f()"), ("cm\nf\n(K\u{1}Nt\u{81}.", "new m.f(1, None)"),
      ("cm\nf\n)}\u{8c}\u{1}kNs\u{92}.", "new m.f(){'k': None}"), ("(K\u{1}im\nf\n.", "m.f(1)"),
      ("(cm\nf\nK\u{1}K\u{2}o.", "m.f(1, 2)"), ("cm\nf\n)R}b.", "m.f() <- {}"),
      ("cm\nf\n)RNbNb.", "m.f() <- None <- None"),
      ("cm\nf\n)RK\u{1}a(K\u{2}K\u{3}e.", "m.f()[1, 2, 3]"), ("cm\nf\n)RK\u{1}Ns(K\u{2}Nu.", "m.f(){1: None, 2: None}"),
      ("cm\nf\n)R(K\u{1}\u{90}.", "m.f()[1]"), ("N)R.", "None()"),
      ("\u{8c}\u{1}kQ.", "'storage k'"),
      // Stack and memo
      ("NK\u{1}0.", "None"), ("N(0.", "None"), ("N(K\u{1}K\u{2}1.", "None"), ("]2\u{86}.", "(#1=[], #1)"),
      ("]p0\n0g0\ng0\n\u{86}.", "(#1=[], #1)"), ("]q\u{7}0h\u{7}.", "[]"), ("]r\0\0\u{1}\00j\0\0\u{1}\0.", "[]"),
      ("]\u{94}N\u{94}h\0h\u{1}\u{87}.", "(None, [], None)"),
      ("Nq\0K\u{1}q\0h\0\u{87}.", "(None, 1, 1)"),
      ("Nq\u{2}0K\u{1}q\00K\u{2}q\u{1}0K\u{3}q\u{2}0h\u{2}h\0h\u{1}\u{87}.", "(3, 1, 2)"),
      ("Nq\u{5}0K\u{1}\u{94}0h\u{5}h\u{1}\u{86}.", "(None, 1)"),
      // Protocol and frame
      ("\u{80}\0N.", "None"), ("\u{80}\u{5}N.", "None"), ("\u{80}\u{4}\u{95}\u{2}\0\0\0\0\0\0\0N.", "None"),
      ("\u{95}\u{1}\0\0\0\0\0\0\0N\u{95}\u{1}\0\0\0\0\0\0\0.", "None"), ("N.behind", "None"),
    ])
  func opcodes(source: String, text: String) throws {
    #expect(try read(pickle(source)).text == text)
  }
}
