/* The frames of Python code, as C sees them: where in the program something was called.

   Nothing is allocated. A frame object, which the public interface would make for each frame
   it is asked for, costs several times as much as all of this; so the interpreter's own
   structure is read, by its own header, which comes with each CPython from 3.11 to 3.15. */
#ifndef QUIESCE_NATIVE_FRAMES_H
#define QUIESCE_NATIVE_FRAMES_H

#include <Python.h>
#include <stdint.h>

#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE 1
#define QUIESCE_IS_NO_CORE
#endif
#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_interpframe.h>
#else
#include <internal/pycore_frame.h>
#endif
#ifdef QUIESCE_IS_NO_CORE
#undef Py_BUILD_CORE
#endif

/* Asked about the name of a file: 1, 0, or -1 with an exception. */
typedef int (*quiesce_passes_on_t)(PyObject *file);

/* Answers about files, by where their names are in memory; a name that is known here is kept
   alive, so that no other can come to lie there. */
#define QUIESCE_ANSWERS 64
static struct {
    PyObject *file;
    int passes_on;
} quiesce_answers[QUIESCE_ANSWERS];

/* Most calls come from the line that the last one came from. */
static PyObject *quiesce_code_found_last;

/* Where in the code found last it is: to be read, with the GIL held, before anything else asks. */
static int quiesce_calling_offset_;
#define quiesce_calling_offset() quiesce_calling_offset_

static inline struct _PyInterpreterFrame *quiesce_newest_frame(void) {
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked()->current_frame;
#else
    return _PyThreadState_UncheckedGet()->cframe->current_frame;
#endif
}

/* What a frame runs: a code object, or something else where the interpreter was entered. */
static inline PyObject *quiesce_runs(struct _PyInterpreterFrame *frame) {
#if PY_VERSION_HEX >= 0x030E0000
    return PyStackRef_AsPyObjectBorrow(frame->f_executable);
#elif PY_VERSION_HEX >= 0x030D0000
    return frame->f_executable;
#else
    return (PyObject *)frame->f_code;
#endif
}

static int quiesce_file_passes_on(PyObject *file, quiesce_passes_on_t passes_on) {
    size_t place = ((uintptr_t)file >> 5) % QUIESCE_ANSWERS;
    int answer;
    if (quiesce_answers[place].file == file)
        return quiesce_answers[place].passes_on;
    answer = passes_on(file);
    if (answer < 0) {
        PyErr_Clear();
        return 0;
    }
    Py_XSETREF(quiesce_answers[place].file, Py_NewRef(file));
    quiesce_answers[place].passes_on = answer;
    return answer;
}

/* The code of the newest frame whose file does not only pass calls on, or None. */
static PyObject *quiesce_calling_code(quiesce_passes_on_t passes_on) {
    struct _PyInterpreterFrame *frame = quiesce_newest_frame();
    for (; frame != NULL; frame = frame->previous) {
        PyObject *code = quiesce_runs(frame);
        if (code == NULL || code != quiesce_code_found_last) {
            /* An incomplete one is the interpreter's own, at its entries and in its stubs. */
            if (code == NULL || !PyCode_Check(code) || _PyFrame_IsIncomplete(frame)
                || quiesce_file_passes_on(((PyCodeObject *)code)->co_filename, passes_on))
                continue;
            Py_XSETREF(quiesce_code_found_last, Py_NewRef(code));
        }
        quiesce_calling_offset_ =
            _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
        return Py_NewRef(code);
    }
    return Py_NewRef(Py_None);
}
#endif
